"""vitrine audit: whether the books, the items and the endpoint agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import requests

from cli import wording
from cli.failure import Failure
from cli.operator import desk
from core.services import audit as service
from core.services.audit import Difference

LEDGER = "/control/ledger"
PAGE = 1_000
SECONDS = 30.0
KIND, SUBJECT = 22, 34
"""Columns of the table, whose rows are printed as they are found."""


@click.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
    metavar="TIME",
    help="Only what was made from then on, such as 2026-11-01, in UTC.",
)
@click.option("--account", metavar="NAME", help="Only this account's.")
@click.option(
    "--endpoint-ledger",
    "endpoint",
    metavar="URL",
    help="Also compare with the ledger of a pixel analyst, by its address.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one difference per line as JSON.")
def audit(since: datetime | None, account: str | None, endpoint: str | None, *, as_json: bool) -> int:
    """Compare the books with items, budgets and the endpoint.

    The exit status is 0 where all agree, and 1 where anything differs.

    \b
    Example:
      vitrine audit --since 2026-11-01 --endpoint-ledger http://127.0.0.1:9000
    """  # noqa: D301 - click wants the character
    found = 0
    ledger = None if endpoint is None else _seen(_address(endpoint))
    moment = None if since is None else since.replace(tzinfo=UTC)
    for difference in service.differences(desk(), account=account, since=moment, ledger=ledger):
        if not found and not as_json:
            click.echo(f"{'difference':<{KIND}}{'of':<{SUBJECT}}detail")
        found += 1
        click.echo(wording.as_json(asdict(difference)) if as_json else _line(difference))
    click.echo(f"{wording.count(found, 'difference')}." if found else _agreement(endpoint), err=True)
    return 1 if found else 0


def _line(difference: Difference) -> str:
    subject, detail = wording.one_line(difference.subject), wording.one_line(difference.detail)
    return f"{difference.kind:<{KIND}}{subject:<{SUBJECT}}{detail}"


def _agreement(endpoint: str | None) -> str:
    return "Books, items and budgets agree" + (", and the endpoint with them." if endpoint else ".")


def _address(endpoint: str) -> str:
    """The ledger's address, given that or any other that a pixel analyst is known by."""
    return endpoint.rstrip("/").removesuffix(LEDGER).removesuffix("/v1") + LEDGER


def _seen(address: str) -> Iterator[dict[str, Any]]:
    """Every call on the ledger, a page at a time. Raises Failure."""
    after = 0
    while calls := _page(address, after):
        for call in calls:
            yield {"upstream_id": call.get("id"), **call}
        after = calls[-1]["n"]


def _page(address: str, after: int) -> list[dict[str, Any]]:
    try:
        answer = requests.get(address, params={"after": after, "limit": PAGE}, timeout=SECONDS)
        answer.raise_for_status()
        calls: list[dict[str, Any]] = answer.json()["calls"]
    except (requests.RequestException, json.JSONDecodeError, KeyError, TypeError) as problem:
        raise Failure(f"There is no pixel analyst's ledger at {address}.") from problem
    return calls

"""vitrine usage: what was used and what it cost, from the server's books."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cli import wording
from cli.registries.client import RegistryClient, client_of
from cli.registries.showing import show
from cli.server import Server, asks_server

GROUPS = ("model", "preset", "key", "batch")
SUMS = ("calls", "tokens", "cost", "cached", "saved", "cascade")
PAGE = 1000


def _groups(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """What lines are for, each once; with commas, too, as the API takes it. Raises BadParameter."""
    names = [name.strip() for text in given for name in text.split(",")]
    for name in names:
        if name not in GROUPS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(GROUPS)}.")
    return tuple(dict.fromkeys(names))


@click.command()
@click.option("--from", "since", metavar="TIME", help="Since a day or a time; else 30 days, or 24 hours.")
@click.option("--to", "until", metavar="TIME", help="Until then; now without it.")
@click.option(
    "--by",
    multiple=True,
    callback=_groups,
    metavar="|".join(GROUPS),
    help="A line for each; with commas, or repeated, for several.",
)
@click.option("--hourly", is_flag=True, help="By the hour rather than by the day.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
@asks_server
def usage(
    *, server: Server, since: str | None, until: str | None, by: tuple[str, ...], hourly: bool, as_json: bool
) -> None:
    """Show what was used, what it cost, and what was saved.

    Cached are answers that were given again, and saved is what they had cost; cascade is what cascades saved
    against asking the stronger model alone.

    \b
    Examples:
      vitrine usage --from 2026-11-01 --by model,preset
      vitrine usage --hourly --json
    """  # noqa: D301 - click wants the character
    query = {"from": since, "to": until, "group_by": ",".join(by), "interval": "hour" if hourly else "day"}
    rows = _rows(client_of(server), {name: value for name, value in query.items() if value})
    found = rows if as_json else (_shown(row, hourly=hourly) for row in rows)
    columns = ("start", *by, *SUMS)
    show(found, columns, as_json=as_json, otherwise="Nothing was used.", whole=("start", *SUMS))


def _rows(client: RegistryClient, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = client.usage(query | {"limit": PAGE} | cursor)
        yield from page["data"]
        if not page["has_more"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def _shown(row: dict[str, Any], *, hourly: bool) -> dict[str, Any]:
    currency = row["cost"]["currency"]
    return row | {
        "start": row["start"][: len("2026-11-21T17:00") if hourly else len("2026-11-21")].replace("T", " "),
        "calls": f"{row['calls']:,}",
        "tokens": f"{row['usage']['total_tokens']:,}",
        "cost": wording.amount(row["cost"]["total_cost"], currency),
        "cached": f"{row['cached']:,}",
        "saved": _saved(row["saved"], currency),
        "cascade": _saved(row["cascade_saved"], currency),
    }


def _saved(value: float, currency: str) -> str:
    """What was saved; less than nothing where a cascade cost more than it saved."""
    if not value:
        return wording.NOTHING
    return ("-" if value < 0 else "") + wording.amount(abs(value), currency)

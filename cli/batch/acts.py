"""What is done with a batch that is there: show, list, pause, resume, cancel, retry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from cli import wording
from cli.batch.client import Batch, BatchClient
from cli.batch.standing import described, done_of, listed
from cli.interrupt import Interrupt
from cli.server import Server, asks_server
from cli.terminal import Screen
from core.states import REOPENABLE, BatchState

ID = re.compile(r"batch_[0-9A-Za-z]+")
PAGE = 100


def _checked(_: click.Context, __: click.Parameter, value: str) -> str:
    if not ID.fullmatch(value):
        raise click.UsageError("The id of a batch begins with batch_; `vitrine batch list` shows them.")
    return value


def max_cost(words: str) -> Callable[..., Any]:
    """The option --max-cost."""
    return click.option("--max-cost", type=click.FloatRange(0, min_open=True), metavar="USD", help=words)


batch_id = click.argument("batch_id", metavar="ID", callback=_checked)


@click.command()
@batch_id
@click.option("--json", "as_json", is_flag=True, help="Print the whole batch as JSON.")
@asks_server
def show(batch_id: str, *, server: Server, as_json: bool) -> None:
    """Show how a batch stands."""
    batch = _client(server).one(batch_id)
    click.echo(wording.as_json(batch, indent=2) if as_json else described(batch))


@click.command("list")
@click.option("--status", type=click.Choice([state.value for state in BatchState]), help="Only these.")
@click.option(
    "--limit", type=click.IntRange(1, PAGE), default=20, show_default=True, metavar="N", help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print one batch per line as JSON.")
@asks_server
def listing(*, server: Server, status: str | None, limit: int, as_json: bool) -> None:
    """List batches, the newest first."""
    query = {"limit": limit} | ({"status": status} if status else {})
    found: list[Batch] = _client(server).page(**query)["data"]
    if as_json:
        for batch in found:
            click.echo(wording.as_json(batch))
    elif found:
        Screen().table(listed(found))
    else:
        click.echo("There are no batches." if status is None else f"No batch is {status}.", err=True)


@click.command()
@batch_id
@asks_server
def pause(batch_id: str, *, server: Server) -> None:
    """Pause a batch: nothing new is asked until it is resumed."""
    _act(server, batch_id, "pause")


@click.command()
@batch_id
@max_cost("What it may cost from now on, in all.")
@asks_server
def resume(batch_id: str, *, server: Server, max_cost: float | None) -> None:
    """Resume a batch after a pause or a pilot."""
    _act(server, batch_id, "resume", **({} if max_cost is None else {"max_cost": max_cost}))


@click.command()
@batch_id
@asks_server
def cancel(batch_id: str, *, server: Server) -> None:
    """Cancel a batch; results that are there stay."""
    _act(server, batch_id, "cancel")


@click.command()
@batch_id
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice(sorted(state.value for state in REOPENABLE)),
    default=["failed"],
    show_default=True,
    help="Items to be tried again; repeat for several.",
)
@asks_server
def retry(batch_id: str, *, server: Server, states: tuple[str, ...]) -> None:
    """Run items that failed again, in the same batch."""
    _act(server, batch_id, "retry", states=list(states))


COMMANDS = (show, listing, pause, resume, cancel, retry)


def _act(server: Server, batch_id: str, verb: str, **body: Any) -> None:
    batch = _client(server).act(batch_id, verb, **body)
    total = wording.count(batch["counts"]["total"], "item")
    click.echo(f"{batch_id} is {batch['status']}: {done_of(batch):,} of {total} done.")


def _client(server: Server) -> BatchClient:
    return BatchClient(server, Interrupt(), Screen().note)

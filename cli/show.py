"""vitrine show and vitrine list: what was asked before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import click
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.client import Analysis, Client
from cli.interrupt import Interrupt
from cli.reading import described
from cli.server import Server, asks_server
from cli.terminal import Screen
from core.states import AnalysisState

PAGE = 100


@click.command()
@click.argument("analysis_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the whole analysis as JSON.")
@asks_server
def show(analysis_id: str, *, server: Server, as_json: bool) -> None:
    """Show one analysis: what was asked, of which images, and what came of it.

    \b
    Example:
      vitrine show an_01kaj3c0dpw8w0z3f6s9q2xk7v
    """  # noqa: D301 - click wants the character
    if not analysis_id.startswith("an_") or not analysis_id.isascii() or not analysis_id[3:].isalnum():
        raise click.UsageError("The id of an analysis begins with an_; `vitrine list` shows them.")
    analysis = _client(server).one(analysis_id)
    click.echo(wording.as_json(analysis, indent=2) if as_json else described(analysis))


@click.command("list")
@click.option("--status", type=click.Choice([state.value for state in AnalysisState]), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one analysis per line as JSON.")
@asks_server
def listing(*, server: Server, status: str | None, limit: int, as_json: bool) -> None:
    """List analyses, the newest first.

    \b
    Examples:
      vitrine list --status failed
      vitrine list --limit 1000 --json | jq -r .answer
    """  # noqa: D301 - click wants the character
    found = islice(_pages(_client(server), status, min(limit, PAGE)), limit)
    if as_json:
        for analysis in found:
            click.echo(wording.as_json(analysis))
        return
    rows = [_row(analysis) for analysis in found]
    if not rows:
        click.echo("There are no analyses." if status is None else f"No analysis is {status}.", err=True)
        return
    Screen().table(_table(rows))


def _pages(client: Client, status: str | None, size: int) -> Iterator[Analysis]:
    query = {"limit": size} | ({"status": status} if status else {})
    cursor: dict[str, str] = {}
    while True:
        page = client.page(**query, **cursor)
        yield from page["data"]
        if not page["has_more"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def _client(server: Server) -> Client:
    return Client(server, Interrupt(), Screen().note)


def _row(analysis: Analysis) -> tuple[str, ...]:
    what = analysis.get("question") or analysis["preset"]
    return (
        analysis["id"],
        analysis["status"],
        wording.age(analysis["created_at"]),
        wording.money(analysis),
        f"{wording.names_of(analysis['images'])}: {wording.one_line(what)}",
    )


def _table(rows: list[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column("Analysis", no_wrap=True, min_width=29)
    table.add_column("Status", no_wrap=True, min_width=9)
    table.add_column("Age", no_wrap=True, justify="right", min_width=6)
    table.add_column("Cost", no_wrap=True, justify="right", min_width=7)
    table.add_column("Image and question", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    return table

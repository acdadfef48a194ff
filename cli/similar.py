"""vitrine similar: which images of the account look most like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.batch.rows import FILE_ID
from cli.images import look_at
from cli.interrupt import Interrupt
from cli.lookalikes import LookalikesClient
from cli.server import Server, asks_server
from cli.terminal import Screen


@click.command()
@click.argument("image")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many at most.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only what was analysed with this; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one image per line as JSON.")
@asks_server
def similar(image: str, *, server: Server, limit: int, metadata: tuple[str, ...], as_json: bool) -> int:
    """Find the images that look most like an IMAGE, among all that were analysed or indexed.

    IMAGE is a local file, or the id of a file of the server. A local one is only looked at, and not kept; one
    that is - is read from standard input.

    \b
    Examples:
      vitrine similar mug.jpg
      vitrine similar mug.jpg --limit 3 --json | jq -r .file_name
      vitrine similar file_01kaj3c0dpw8w0z3f6s9q2xk7v --metadata season=spring
    """  # noqa: D301 - click wants the character
    given = dict(_pair(text) for text in metadata)
    source = image if FILE_ID.fullmatch(image) else look_at([image])[0]
    screen, interrupt = Screen(), Interrupt()
    client = LookalikesClient(server, interrupt, screen.note)
    with interrupt.listening(), screen.spinner("Looking", interrupt):
        rows = client.similar(source, limit, given)
    if as_json:
        for row in rows:
            click.echo(wording.as_json(row))
    elif rows:
        screen.table(_table(rows))
        _tell_ranking(screen, rows)
    else:
        screen.note("There is no other image to compare with: analyse some, or run `vitrine index rebuild`.")
    return 0


def _tell_ranking(screen: Screen, rows: Sequence[dict[str, Any]]) -> None:
    """Say where scores come from embeddings, for they mean something else then."""
    by_measures = sum(row.get("ranked_by") != "embedding" for row in rows)
    if by_measures == len(rows):
        return
    screen.note("Ranked by embeddings: scores are cosines.")
    if by_measures:
        screen.note(f"The last {wording.count(by_measures, 'image')} had none, and are ranked by measures.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--metadata wants KEY=VALUE, not {text!r}.")
    return name, value


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Score", justify="right", no_wrap=True)
    table.add_column("Image", overflow="fold", max_width=40)
    table.add_column("Why")
    table.add_column("Metadata", overflow="ellipsis", max_width=30, no_wrap=True)
    table.add_column("File", no_wrap=True)
    for row in rows:
        cells = (
            wording.one_line(row["file_name"]),
            wording.one_line(row["reasons"]),
            wording.one_line(row["metadata"] or None),
            row["file_id"],
        )
        table.add_row(f"{row['score']:.2f}", *map(Text, cells))
    return table

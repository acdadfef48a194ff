"""vitrine similar: which images of the account look most like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.asking import json_or_text
from cli.batch.rows import FILE_ID
from cli.entries import ROOMY_COLUMNS
from cli.images import look_at
from cli.interrupt import Interrupt
from cli.lookalikes import LookalikesClient
from cli.server import Server, asks_server
from cli.terminal import Screen

ID_COLUMNS = 31
"""Of the id of a file."""
WHY_COLUMNS = 15
"""Of the longest reason, with a comma."""
METADATA_LETTERS = 60


@click.command()
@click.argument("image")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many at most.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only what was analysed with this: a text, or JSON (n=1, 'sku=\"007\"'); may be repeated.",
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
        screen.table(_table(rows, roomy=screen.columns >= ROOMY_COLUMNS))
        _tell_ranking(screen, rows)
    else:
        screen.note(_nothing(given))
    return 0


def _nothing(given: dict[str, Any]) -> str:
    """Why nothing was found."""
    if given:
        return f"No other image was analysed with this metadata: {wording.one_line(_pairs(given))}."
    return "There is no other image to compare with: analyse some, or run `vitrine index rebuild`."


def _tell_ranking(screen: Screen, rows: Sequence[dict[str, Any]]) -> None:
    """Say where scores come from embeddings, for they mean something else then."""
    by_measures = sum(row.get("ranked_by") != "embedding" for row in rows)
    if by_measures == len(rows):
        return
    screen.note("Ranked by embeddings: scores are cosines.")
    if by_measures:
        screen.note(f"The last {wording.count(by_measures, 'image')} had none, and are ranked by measures.")


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--metadata wants KEY=VALUE, not {text!r}.")
    return name, json_or_text(value)


def _pairs(metadata: dict[str, Any]) -> list[str]:
    """Metadata as --metadata takes it."""
    return [
        f"{name}={value if isinstance(value, str) else wording.as_json(value)}"
        for name, value in metadata.items()
    ]


def _table(rows: Sequence[dict[str, Any]], *, roomy: bool) -> Table:
    """A table of which no word is broken at 80 columns: an id stands below its image's name there."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Score", justify="right", no_wrap=True)
    table.add_column("Image", overflow="fold", width=None if roomy else ID_COLUMNS)
    has_metadata = any(row["metadata"] for row in rows)
    table.add_column("Why", width=WHY_COLUMNS if has_metadata and not roomy else None)
    if has_metadata:
        table.add_column("Metadata", overflow="fold")
    if roomy:
        table.add_column("File", no_wrap=True)
    for row in rows:
        name, why = wording.one_line(row["file_name"]), wording.one_line(row["reasons"])
        about = [why, _metadata(row)] if has_metadata else [why]
        cells = [name, *about, row["file_id"]] if roomy else [f"{name}\n{row['file_id']}", *about]
        table.add_row(f"{row['score']:.2f}", *map(Text, cells))
    return table


def _metadata(row: dict[str, Any]) -> str:
    text = wording.one_line(_pairs(row["metadata"] or {}))
    return text if len(text) <= METADATA_LETTERS else f"{text[: METADATA_LETTERS - 1]}…"

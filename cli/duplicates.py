"""vitrine duplicates: which images of a folder show the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import click
from rich import box
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.batch.folder import folder_rows
from cli.batch.uploading import Uploading
from cli.failure import Failure, Interrupted
from cli.grouping import Comparing, Group, Rank, groups
from cli.interrupt import Interrupt
from cli.local_file import LocalFile
from cli.local_image import Bad, local_image
from cli.lookalikes import LookalikesClient
from cli.server import Server, asks_server
from cli.terminal import Screen
from core.image_header import HEAD, size_of
from core.likeness import BITS


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--threshold",
    type=click.IntRange(0, BITS),
    metavar="BITS",
    help=f"How many of {BITS} bits may differ; by default, as many as the server allows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one group per line as JSON.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Images on their way at once.",
)
@asks_server
def duplicates(folder: Path, *, server: Server, threshold: int | None, as_json: bool, parallel: int) -> int:
    """Find images in a FOLDER, and in those in it, that show the same: copies, and near-duplicates.

    Near-duplicates are the same picture in another size or quality, a little cropped, or written on. The
    images are uploaded to be compared, and removed from the server at the end, after Ctrl-C as well.

    Each group begins with the best picture: most pixels, then most bytes, then by name. Groups are chains:
    where a is near b, and b near c, all three are one group. What is told of each is how many bits differ
    from the first (`distance` in --json), or - (null) where it is near others of the group only.

    \b
    Examples:
      vitrine duplicates photos/
      vitrine duplicates photos/ --json | jq -r '.[] | select(.distance).name'

    The exit status is 0 when all were compared, 1 when any could not be, 2 when the command is wrong, and
    130 after Ctrl-C.
    """  # noqa: D301 - click wants the character
    files, bad = _images(folder)
    screen, interrupt = Screen(), Interrupt()
    client = LookalikesClient(server, interrupt, screen.note, parallel)
    comparing = Comparing(client, parallel, threshold)
    uploading = Uploading(client)
    uploaded = uploading.uploaded
    with interrupt.listening(), _removing(uploaded.ids, comparing, screen, interrupt):
        with screen.bar("Uploading", len(files), interrupt, beside_rows=False) as advance:
            uploading.run(files, parallel, advance)
        with screen.bar("Comparing", len(uploaded.ids), interrupt, beside_rows=False) as advance:
            pairs = comparing.pairs(uploaded.ids, advance)
        if interrupt.asked:
            raise Interrupted("Stopped before all images were compared.")
    found = groups(list(files), pairs, lambda name: _rank(name, files[name]))
    _show(found, screen, as_json=as_json)
    return _conclude(screen, len(files | bad), found, bad | uploaded.refused | comparing.refused)


def _images(folder: Path) -> tuple[dict[str, LocalFile], dict[str, str]]:
    """The images of a folder by their names in it, and what is wrong with those that are none."""
    files, bad = {}, {}
    for row in folder_rows(folder):
        try:
            files[row.where] = local_image(folder, row.where)
        except Bad as problem:
            bad[row.where] = f"{problem}."
    if not files and not bad:
        raise click.UsageError(f"There is no image file in the folder {folder}.")
    return files, bad


@contextmanager
def _removing(
    ids: Mapping[str, str], comparing: Comparing, screen: Screen, interrupt: Interrupt
) -> Iterator[None]:
    """Remove what was uploaded in a block, however it ends but by a second Ctrl-C, which leaves at once."""

    def remove() -> None:
        with screen.spinner("Removing the uploads", interrupt):
            left = comparing.forget(ids)
        if left:
            screen.note(f"Could not remove {wording.count(left, 'upload')}: left to expire within the hour.")

    try:
        yield
    except Failure:
        remove()
        raise
    remove()


def _rank(name: str, file: LocalFile) -> Rank:
    """The best picture first: most pixels, then most bytes."""
    size = None
    with suppress(Failure), file.open() as content:
        size = size_of(content.read(HEAD))
    return -math.prod(size or (0,)), -file.byte_size, name


def _show(found: Sequence[Group], screen: Screen, *, as_json: bool) -> None:
    if as_json:
        for group in found:
            click.echo(wording.as_json([asdict(member) for member in group]))
    elif found:
        screen.table(_table(found))


def _table(found: Sequence[Group]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Group", justify="right", no_wrap=True)
    table.add_column("Image", overflow="fold")
    table.add_column(f"Bits of {BITS} that differ from the first", justify="right", max_width=19)
    for number, group in enumerate(found, 1):
        for place, member in enumerate(group):
            figure = wording.one_line(member.distance) if place else ""
            table.add_row("" if place else f"{number:,}", Text(wording.one_line(member.name)), figure)
        table.add_section()
    return table


def _conclude(screen: Screen, total: int, found: Sequence[Group], refused: dict[str, str]) -> int:
    for name, why in sorted(refused.items()):
        screen.note(f"{name}: {why}")
    more = sum(len(group) - 1 for group in found)
    what = f"{wording.count(len(found), 'group')}, {more:,} more than needed" if found else "no duplicates"
    screen.note(
        f"{wording.count(total, 'image')}: {what}" + (f", {len(refused):,} not compared." if refused else ".")
    )
    return 1 if refused else 0

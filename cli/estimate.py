"""vitrine estimate: what images would take, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from cli import asking, wording
from cli.batch.folder import folder_rows
from cli.batch.rows import Row, json_rows
from cli.connection import Connection
from cli.failure import Failure
from cli.images import look_at
from cli.interrupt import Interrupt
from cli.local_file import LocalFile
from cli.server import Server, asks_server
from cli.terminal import Screen
from core.image_header import HEAD, size_of

LINES = (".jsonl", ".ndjson")
LISTS = (*LINES, ".csv")
"""Files whose rows may say themselves what is asked."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FOLDER|FILE.jsonl|IMAGE...")
@click.option("--preset", metavar="NAME", help="A prompt of the server, such as product.")
@click.option("--question", metavar="TEXT", help="What to ask about every image.")
@asking.question_options
@click.option("--json", "as_json", is_flag=True, help="Print the estimate as JSON.")
@asks_server
def estimate(paths: tuple[str, ...], *, server: Server, as_json: bool, **said: Any) -> None:
    """Estimate tokens, cost and time of a batch, without running it: each image is an item.

    Only the sizes of the images are sent, so that answers which may be given again are not known: the cost is
    that of asking each image anew. Answers are taken to be as long as your latest ones.

    \b
    Examples:
      vitrine estimate photos/ --preset product
      vitrine estimate catalogue.jsonl --model gpt-4.1 --detail high
    """  # noqa: D301 - click wants the character
    screen = Screen()
    defaults = {name: value for name, value in said.items() if value is not None}
    if not defaults.keys() & {"question", "preset"} and not all(
        path.lower().endswith(LISTS) for path in paths
    ):
        raise click.UsageError("Say what to ask about the images: --question, or --preset.")
    inputs = list(_inputs(paths, screen))
    if not inputs:
        raise click.UsageError("There is no image to estimate.")
    found = _client(server, screen).estimate({"inputs": inputs, "defaults": defaults})
    click.echo(wording.as_json(found, indent=2) if as_json else described(found))


class EstimateClient(Connection):
    """The estimates of a server."""

    def estimate(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a batch would take. Raises Refused or Unreachable."""
        return self._ask("POST", "/estimate", json=body).body


def described(found: dict[str, Any]) -> str:
    """An estimate as people read it."""
    usage, cost = found["usage"], wording.amount(found["cost"]["total_cost"], found["cost"]["currency"])
    images = usage["prompt_tokens_details"]["image_tokens"]
    asked = f"{usage['prompt_tokens']:,} asked ({images:,} of them images)"
    lines = [
        f"{wording.count(found['items'], 'item')}, {wording.count(found['images'], 'image')}",
        f"Tokens  {usage['total_tokens']:,}: {asked}, {usage['completion_tokens']:,} answered",
        f"Cost    {cost}",
        f"Time    {_time(found['seconds'])}",
    ]
    if found["cached"]:
        lines.append(f"Cached  {wording.count(found['cached'], 'item')} need no call of their own")
    if found["saved_image_tokens"]:
        lines.append(f"Saved   {found['saved_image_tokens']:,} tokens, against images as they are")
    return "\n".join([*lines, *found["warnings"]])


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown: no worker is there"
    return "at once" if seconds < 1 else f"about {wording.duration(seconds)}"


def _inputs(paths: Iterable[str], screen: Screen) -> Iterator[dict[str, Any]]:
    for number, path in enumerate(paths):
        if Path(path).is_dir():
            yield from _items(folder_rows(Path(path)), Path(path), number, screen)
        elif Path(path).suffix.lower() in LINES and Path(path).exists():
            yield from _items(json_rows(Path(path)), Path(path).parent, number, screen)
        else:
            [image] = look_at([path])
            yield {"custom_id": f"{number}", "image": _size(image)}


def _items(rows: Iterable[Row], base: Path, number: int, screen: Screen) -> Iterator[dict[str, Any]]:
    """Rows as items, with sizes in the place of local files; what is bad is told and left out."""
    for place, row in enumerate(row for row in rows if row.is_item):
        try:
            sizes: Any = {name: _size(_local(base, name)) for name in row.images}
        except Failure as problem:
            screen.note(problem.message)
            continue
        if row.problem:
            screen.note(f"{row.where}: {row.problem}.")
        else:
            yield json.loads(row.written(sizes)) | {"custom_id": f"{number}-{place}"}


def _local(base: Path, name: str) -> LocalFile:
    path = base / name
    return LocalFile(str(path), path.name, 0, path)


def _size(image: LocalFile) -> dict[str, int]:
    with image.open() as file:
        found = size_of(file.read(HEAD))
    if found is None:
        raise Failure(f"{image.path}: it does not say how large it is; it may be no image.")
    return {"width": found[0], "height": found[1]}


def _client(server: Server, screen: Screen) -> EstimateClient:
    return EstimateClient(server, Interrupt(), screen.note)

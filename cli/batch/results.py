"""Results of a batch: into a file that is whole or not there, to standard output, or as a table."""

from __future__ import annotations

import codecs
import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.batch.client import Batch, BatchClient, Item
from cli.connection import PAUSES
from cli.failure import Failure, Unreachable
from cli.reading import answer_of
from cli.terminal import Screen

FORMS = {".jsonl": "ndjson", ".ndjson": "ndjson", ".csv": "csv"}
SHOWN = 20
"""Rows of the table."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where results go when a batch is done: into a file, else to standard output."""

    path: Path | None
    form: str | None
    """`ndjson`, `csv`, or None for a table."""
    force: bool

    @property
    def option(self) -> str:
        """How to name it on a command line again."""
        return f" --out {shlex.quote(str(self.path))}" if self.path else ""

    def check(self) -> None:
        """Find out whether the file may be made, before anything is paid for. Raises UsageError."""
        if self.path is None:
            return
        if self.path.exists() and not self.force:
            raise click.UsageError(f"{self.path} is there already; --force replaces it.")
        if not os.access(self.path.parent, os.W_OK | os.X_OK) or self.path.is_dir():
            raise click.UsageError(f"{self.path} cannot be made: look at its folder.")


def delivers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where results go to a command, which gets them as `destination`."""

    @click.option(
        "--out", metavar="FILE", help="Write results to this file when all is done: .jsonl or .csv."
    )
    @click.option("--force", is_flag=True, help="Replace the file of --out.")
    @click.option("--json", "form", flag_value="ndjson", help="Print results as JSON lines.")
    @click.option("--csv", "form", flag_value="csv", help="Print results as CSV.")
    @wraps(command)
    def wrapper(*args: Any, out: str | None, form: str | None, force: bool, **kwargs: Any) -> Any:
        destination = _destination(out, form, force=force)
        destination.check()
        return command(*args, destination=destination, **kwargs)

    return wrapper


def deliver(client: BatchClient, batch: Batch, destination: Destination, screen: Screen) -> None:
    """Take all results of a batch where they belong. Raises Refused, Unreachable or Failure."""
    if destination.path:
        destination.check()  # batches take hours
        _write(client, batch["id"], destination.path, str(destination.form))
        screen.note(f"Results are in {destination.path}.")
    elif destination.form:
        _print(client.results(batch["id"], destination.form), destination.form)
    else:
        shown = client.items(batch["id"], limit=SHOWN)
        show(shown, screen)
        if (left := batch["counts"]["total"] - len(shown)) > 0:
            screen.note(f"and {left:,} more:\n  vitrine batch watch {batch['id']} --out all.csv")


def show(items: list[Item], screen: Screen) -> None:
    """Print items as a table."""
    names = [Text(wording.one_line(item["custom_id"])) for item in items]
    longest = max((name.cell_len for name in names), default=0)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column("Item", no_wrap=True, overflow="ellipsis", width=min(longest, screen.columns // 3))
    table.add_column("Status", no_wrap=True)
    table.add_column("Cost", no_wrap=True, justify="right")
    table.add_column("Answer", no_wrap=True, overflow="ellipsis", ratio=1)
    for name, item in zip(names, items, strict=True):
        table.add_row(name, *map(Text, (item["status"], wording.money(item), _answer(item))))
    screen.table(table)


def _destination(out: str | None, form: str | None, *, force: bool) -> Destination:
    if out is None:
        piped = None if sys.stdout.isatty() else "ndjson"
        return Destination(None, form or piped, force)
    if form:
        raise click.UsageError("--out tells the form by its ending: leave out --json and --csv.")
    path = Path(out)
    if path.suffix.lower() not in FORMS:
        raise click.UsageError(f"--out takes a file that ends in .jsonl or .csv, not {out}.")
    return Destination(path, FORMS[path.suffix.lower()], force)


def _write(client: BatchClient, batch_id: str, path: Path, form: str) -> None:
    """Write all results, anew where the connection breaks; the file has its name only once it is whole."""
    for pause in (*PAUSES, None):
        try:
            with _whole(path) as file:
                for piece in client.results(batch_id, form):
                    file.write(piece)
        except Unreachable as problem:
            if pause is None:
                raise
            client.say(f"{problem.message} Fetching the results again in {pause:.0f} s.")
            client.interrupt.sleep(pause)
        else:
            return


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file beside the path that takes its place at the end of the block, and goes if there is none."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as problem:
        raise Failure(f"{path} cannot be written: {problem.strerror}.") from problem
    finally:
        part.unlink(missing_ok=True)


def _print(pieces: Iterator[bytes], form: str) -> None:
    safe = wording.escaped if form == "ndjson" else wording.printable
    for text in codecs.iterdecode(pieces, "utf-8"):
        click.echo(safe(text), nl=False)


def _answer(item: Item) -> str:
    if item["status"] != "completed":
        return wording.problem_of(item)
    return wording.one_line("; ".join(line for line in answer_of(item).split("\n") if line))

"""What a batch is made from, looked at as a whole before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import click

from cli.batch.folder import folder_rows, grouped_rows
from cli.batch.rows import Ids, Row, csv_rows, json_rows
from cli.failure import Failure
from cli.local_file import LocalFile
from cli.local_image import Bad, local_image
from core.views import BY_FOLDER, BY_NAME

MOST_ITEMS = 50_000
"""Of a batch (core/services/items.py, which only a server can import)."""
READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".csv": csv_rows,
}
BY_SKU = "sku"
BY = (BY_FOLDER, BY_NAME, BY_SKU)


@dataclass(frozen=True, slots=True)
class Source:
    """A folder, or a file that names images."""

    path: Path
    read: Callable[[Path], Iterator[Row]]
    is_grouped: bool = False
    """Whether several rows make an item."""

    @property
    def base(self) -> Path:
        """Where the names in it begin."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def input_name(self) -> str:
        """What the input file is called that is made of it."""
        return f"{self.path.resolve().name}.jsonl" if self.path.is_dir() else self.path.name

    def rows(self) -> Iterator[Row]:
        """Its rows, read anew. Raises Failure."""
        return self.read(self.path)


@dataclass(slots=True)
class Survey:
    """What is in a source."""

    items: int = 0
    files: dict[str, LocalFile] = field(default_factory=dict)
    """Images by the names that rows give them."""
    bad: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Each with the place where it is."""


def is_archive(path: Path) -> bool:
    """Whether an argument names a ZIP archive."""
    return path.suffix.lower() == ".zip" and path.is_file()


def demand_grouping(by: str | None, *, has_rows: bool) -> None:
    """Raises UsageError for what such a source cannot be grouped by."""
    if by is not None and has_rows != (by == BY_SKU):
        fitting = "--by sku is for a list; a folder or a ZIP archive takes --by folder or --by name."
        raise click.UsageError(fitting)


def look_at(path: Path, by: str | None = None) -> Source:
    """The source behind an argument, its rows grouped by SKU or not. Raises UsageError."""
    if path.is_dir():
        return Source(path, partial(grouped_rows, by=by) if by else folder_rows, is_grouped=by is not None)
    if not path.exists():
        raise click.UsageError(f"There is no folder or file {path}.")
    if (read := READERS.get(path.suffix.lower())) is None:
        raise click.UsageError(f"{path} is neither a folder nor a .jsonl, .csv or .zip file.")
    return Source(path, read, is_grouped=by is not None)


def survey(source: Source) -> Survey:
    """Look at every row and every image it names. Raises UsageError for nothing, Failure for too much."""
    found = Survey()
    for row in source.rows():
        if row.is_item:
            found.items += 1
            _look_at_row(row, source.base, found)
    if not found.items:
        what = "image file" if source.path.is_dir() else "item"
        raise click.UsageError(f"There is no {what} in {source.path}.")
    if found.items > MOST_ITEMS and not source.is_grouped:
        raise Failure(
            f"{source.path} has {found.items:,} items; a batch takes {MOST_ITEMS:,} at most: make several."
        )
    return found


def write(source: Source, ids: Ids, out: IO[str]) -> int:
    """Write the input file, an empty line for each item that is left out; how many items there are in it."""
    written = 0
    for row in source.rows():
        if row.is_item and (row.problem or not ids.keys() >= set(row.images)):
            out.write("\n")
        else:
            out.write(row.written(ids) + "\n")
            written += row.is_item
    return written


def _look_at_row(row: Row, base: Path, found: Survey) -> None:
    if row.problem:
        found.problems.append(f"{row.where}: {row.problem}.")
        return
    for name in row.images:
        if name not in found.files and name not in found.bad:
            try:
                found.files[name] = local_image(base, name)
            except Bad as problem:
                found.bad[name] = str(problem)
        if name in found.bad:
            found.problems.append(f"{row.where}: {row.told(name, found.bad[name])}.")

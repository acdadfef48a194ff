"""Rows of JSON Lines and CSV files, in which images may be named by their local paths, or by URLs.

Only these names are looked at; all else goes to the server as it stands, which judges it. A row keeps its
line, so that a line number of the server's is one of the user's own file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.failure import Failure
from core.cells import typed

FILE_ID = re.compile(r"file_[0-9a-z]{26}")
URL = re.compile(r"\s*https?://", re.IGNORECASE)
BETWEEN_URLS = re.compile(r";(?=\s*(?:file_|https?://|$))", re.IGNORECASE)
"""As the server takes a cell apart; a URL may hold semicolons of its own."""

Ids = Mapping[str, Any]
"""What takes the place of local names: file ids, or sizes where nothing is sent."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the input."""

    where: str
    """What people find it by."""
    written: Callable[[Ids], str]
    """The line, with file ids in the place of names."""
    images: tuple[str, ...] = ()
    """Local files that it names."""
    problem: str | None = None
    is_item: bool = True
    """Whether there is anything to be asked in it."""

    def told(self, name: str, why: str) -> str:
        """What is wrong with an image of it, to be said behind where it is: a name only once."""
        return why if name == self.where else f"{name}: {why}"


def json_rows(path: Path) -> Iterator[Row]:
    """The lines of a JSON Lines file. Raises Failure."""
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            yield _json_row(f"line {number}", line)
        else:
            yield Row(f"line {number}", lambda _: "", is_item=False)


def csv_rows(path: Path) -> Iterator[Row]:
    """The rows of a CSV file, the header first. Raises Failure."""
    reader = csv.reader(_lines(path, newline=""), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            where = f"line {reader.line_num}"
            if not header or not cells:
                yield Row(where, lambda _, cells=cells: _csv_line(cells), is_item=False)  # type: ignore[misc]
                header = header or [name.strip() for name in cells]
            else:
                yield _csv_row(where, header, cells)
    except csv.Error as problem:
        raise Failure(f"{path}, line {reader.line_num}, is not CSV: {problem}.") from problem


def csv_items(path: Path) -> Iterator[Row]:
    """The rows below the header of a CSV file as the server reads them: as JSON. Raises Failure."""
    reader = csv.reader(_lines(path, newline=""), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if header and cells:
                yield _csv_item(f"line {reader.line_num}", header, cells)
            header = header or [name.strip() for name in cells]
    except csv.Error as problem:
        raise Failure(f"{path}, line {reader.line_num}, is not CSV: {problem}.") from problem


def _csv_item(where: str, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(header):
        why = f"has {len(cells)} columns where the first line names {len(header)}"
        return Row(where, lambda _: "", problem=why)
    item = typed(dict(zip(header, cells, strict=True)))
    if "images" in item:
        item["images"] = [name.strip() for name in _apart(item["images"]) if name.strip()]
    return _item_row(where, item)


def _lines(path: Path, newline: str | None = "\n") -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield from file
    except UnicodeDecodeError as problem:
        raise Failure(f"{path} is not UTF-8: save it as UTF-8 (in Excel: CSV UTF-8).") from problem
    except OSError as problem:
        raise Failure(f"{path} cannot be read: {problem.strerror}.") from problem


def _json_row(where: str, line: str) -> Row:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as problem:
        return Row(where, lambda _: "", problem=f"is not JSON: {problem.msg} (character {problem.pos + 1})")
    except RecursionError:
        return Row(where, lambda _: "", problem="is nested too deeply")
    except ValueError:
        return Row(where, lambda _: "", problem="has a number of too many digits")
    if not isinstance(item, dict):
        return Row(where, lambda _: "", problem="is not a JSON object")
    return _item_row(where, item)


def _item_row(where: str, item: Mapping[str, Any]) -> Row:
    images = item.get("images")
    named = [item.get("image")] if images is None else images

    def written(ids: Ids) -> str:
        swapped = {name: _swapped(item[name], ids) for name in ("image", "images") if name in item}
        return json.dumps({**item, **swapped})

    return Row(where, written, _local(named if isinstance(named, list) else []))


def _swapped(value: Any, ids: Ids) -> Any:
    if isinstance(value, list):
        return [_swapped(each, ids) for each in value]
    return ids.get(value, value) if isinstance(value, str) else value


def _csv_row(where: str, header: Sequence[str], cells: list[str]) -> Row:
    row = dict(zip(header, cells, strict=False))
    named = [name.strip() for name in _apart(row.get("images", ""))] + [row.get("image", "")]

    def written(ids: Ids) -> str:
        swapped = list(cells)
        for place, (column, cell) in enumerate(zip(header, cells, strict=False)):
            if column == "image":
                swapped[place] = ids.get(cell, cell)
            elif column == "images":
                swapped[place] = ";".join(ids.get(name.strip(), name) for name in _apart(cell))
        return _csv_line(swapped)

    return Row(where, written, _local(named))


def _apart(cell: str) -> list[str]:
    return BETWEEN_URLS.split(cell) if "://" in cell else cell.split(";")


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # with its own line ends: cells that have any are quoted by these
    return line.getvalue().removesuffix("\r\n")


def _local(names: Sequence[Any]) -> tuple[str, ...]:
    """Those that are neither file ids nor URLs nor objects nor empty: paths."""
    texts = [name for name in names if isinstance(name, str) and name.strip()]
    return tuple(name for name in texts if not FILE_ID.fullmatch(name) and not URL.match(name))

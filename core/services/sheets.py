"""Tables that clients send as CSV, to be stored all or not at all: every bad line is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidRequest

MOST_PROBLEMS = 100


@dataclass(slots=True)
class Sheet:
    """The lines of a table that have its columns, and what is wrong with the others."""

    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """The number of each line, and its cells by column."""
    problems: list[dict[str, Any]] = field(default_factory=list)

    def blame(self, line: int, name: str, why: str) -> None:
        """Note what is wrong with a field of a line."""
        self.problems.append({"line": line, "field": name, "error": why})

    def raise_any(self) -> None:
        """Raises InvalidRequest that tells the problems in the order of their lines, where there are any."""
        found = sorted(self.problems, key=lambda problem: int(problem["line"]))
        if not found:
            return
        raise InvalidRequest(
            f"{len(found)} problem{'s' if len(found) > 1 else ''}, nothing was stored;"
            f" the first: line {found[0]['line']}, {found[0]['field']}: {found[0]['error']}",
            details={"errors": found[:MOST_PROBLEMS], "error_count": len(found)},
        )


def read(content: bytes, needed: Sequence[str], others: Sequence[str] = ()) -> Sheet:
    """The lines of a CSV whose first names these columns. Raises InvalidRequest for what is no such CSV."""
    reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
    sheet, columns = Sheet(), None
    for line, cells in _lines(reader, sheet):
        if columns is None:
            columns = _columns(cells, needed, others)
        elif len(cells) != len(columns):
            sheet.blame(line, "line", _miscounted(len(cells), len(columns)))
        else:
            sheet.rows.append((line, dict(zip(columns, cells, strict=True))))
    if columns is None:
        sheet.raise_any()
        _columns([], needed, others)
    return sheet


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("The file is not UTF-8.", details={"field": "file"}) from error
    if "\0" in text:
        raise InvalidRequest("The file holds NUL characters.", details={"field": "file"})
    return text


def _lines(reader: Any, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any, and the number of the line that it begins in."""
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = str(error).partition(" - ")[0]  # what follows is advice to programmers
            sheet.blame(begins, "line", f"It is not CSV: {why}.")
        else:
            if cells:
                yield begins, cells


def _columns(cells: Sequence[str], needed: Sequence[str], others: Sequence[str]) -> list[str]:
    columns = [name.strip().lower() for name in cells]
    if len(set(columns)) == len(columns) and set(needed) <= set(columns) <= {*needed, *others}:
        return columns
    wanted = "the column" if len(needed) == 1 else "the columns"
    more = f", and may name {_listed(others)}" if others else ""
    named = _listed(columns)[:200] or "nothing"
    raise InvalidRequest(
        f"The first line must name {wanted} {_listed(needed)}{more}; it names {named}.",
        details={"field": "file"},
    )


def _listed(names: Sequence[str]) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _miscounted(cells: int, columns: int) -> str:
    counted = f"{cells} column{'s' if cells > 1 else ''}"
    return f"It has {counted} where the first line names {columns}."

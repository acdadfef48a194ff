"""Tables that clients send as CSV, to be stored all or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.errors import InvalidRequest

MOST_PROBLEMS = 100


def rows(
    content: bytes, needed: Sequence[str], others: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and the cells of each line by column. Raises InvalidRequest for what is no such CSV."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("The file is not UTF-8.", details={"field": "file"}) from error
    if "\0" in text:
        raise InvalidRequest("The file holds NUL characters.", details={"field": "file"})
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(columns, needed, others)
        for cells in reader:
            if cells:
                yield reader.line_num, _by_column(reader.line_num, columns, cells)
    except csv.Error as error:
        raise InvalidRequest(
            f"Line {reader.line_num} is not CSV: {error}.", details={"field": "file"}
        ) from error


def raise_any(problems: Sequence[Mapping[str, Any]]) -> None:
    """Raises InvalidRequest that tells the problems, where there are any."""
    if problems:
        first = problems[0]
        raise InvalidRequest(
            f"{len(problems)} bad line{'s' if len(problems) > 1 else ''}, nothing was stored;"
            f" the first: line {first['line']}: {first['error']}",
            details={"errors": list(problems[:MOST_PROBLEMS]), "error_count": len(problems)},
        )


def _check_columns(columns: Sequence[str], needed: Sequence[str], others: Sequence[str]) -> None:
    known = {*needed, *others}
    if len(set(columns)) != len(columns) or not set(needed) <= set(columns) <= known:
        raise InvalidRequest(
            f"The first line names the columns {', '.join(needed)}, and may name {', '.join(others)}.",
            details={"field": "file"},
        )


def _by_column(line: int, columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise InvalidRequest(
            f"Line {line} has {len(cells)} columns where the first line names {len(columns)}.",
            details={"field": "file"},
        )
    return dict(zip(columns, cells, strict=True))

"""Items out of a file that was uploaded before: JSON Lines, CSV or a ZIP of images, read piece by piece.

A line that cannot be read becomes a `Broken` in its place, so that every bad line is told.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest
from core.media import CSV, JSONL, ZIP
from core.models import File
from core.services import archives
from core.services.items import Broken

LONGEST_LINE = 1_000_000
"""Bytes. An image belongs into a file of its own."""
BOM = b"\xef\xbb\xbf"
BETWEEN_IMAGES = re.compile(r";(?=\s*(?:file_|https?://|$))", re.IGNORECASE)
"""A semicolon, but for those within a URL."""
NUMBERS = {"max_tokens": int, "temperature": float}


def opened(desk: Desk, file: File) -> AbstractContextManager[Iterable[tuple[int, Any]]]:
    """Line numbers (from 1) and what stands there: an object or Broken. Raises InvalidRequest, NotFound.

    Of an archive, places by name; images that come with the rows can be read until this is left.
    """
    pieces = desk.blobs.pieces(file.digest, 0, file.byte_size)
    if file.media_type == ZIP:
        return archives.opened(desk, pieces)
    if file.media_type not in READERS:
        raise InvalidRequest(
            f"The file {file.name!r} is {file.media_type}: a batch is made from JSON Lines, CSV or a ZIP.",
            details={"field": "input_file_id"},
        )
    return nullcontext(READERS[file.media_type](_lines(pieces)))


def _json_rows(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Any]]:
    for number, line in lines:
        if line.strip():
            yield number, _json(line)


def _json(line: bytes) -> Any:
    if len(line) > LONGEST_LINE:
        return Broken(
            f"The line is longer than {LONGEST_LINE:,} bytes: upload images as files, and name their ids."
        )
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        return Broken("The line is not UTF-8.")
    except (ValueError, RecursionError) as error:
        return Broken(f"The line is not JSON: {error}.")


def _csv_rows(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Any]]:
    reader = csv.reader(_text(lines), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if len(set(names)) != len(names) or not all(names):
            raise InvalidRequest("The first line of a CSV file names its columns, each once.")
        for cells in reader:
            if cells:
                yield reader.line_num, _csv_row(names, cells)
    except csv.Error as error:
        raise InvalidRequest(f"Line {reader.line_num} is not CSV: {error}.") from error


def _csv_row(names: list[str], cells: list[str]) -> Any:
    if len(cells) != len(names):
        return Broken(f"It has {len(cells)} columns where the first line names {len(names)}.")
    row: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    try:
        row |= {name: kind(row[name]) for name, kind in NUMBERS.items() if name in row}
        if "metadata" in row:
            row["metadata"] = json.loads(row["metadata"])
        if "images" in row:
            row["images"] = [name.strip() for name in BETWEEN_IMAGES.split(row["images"])]
    except (ValueError, RecursionError) as error:
        return Broken(f"A number or metadata cannot be read: {error}.")
    return row


def _text(lines: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    for number, line in lines:
        try:
            yield line.decode() + "\n"
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"Line {number} is not UTF-8.") from error


def _lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines without their ends, and a byte order mark gone; flat in memory but for the longest line."""
    number, rest = 0, b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield number, _clean(line, number)
        rest = rest[: LONGEST_LINE + 1]  # of a line that is too long, only that it is
    if rest:
        yield number + 1, _clean(rest, number + 1)


def _clean(line: bytes, number: int) -> bytes:
    return (line.removeprefix(BOM) if number == 1 else line).removesuffix(b"\r")


READERS = {CSV: _csv_rows, JSONL: _json_rows}

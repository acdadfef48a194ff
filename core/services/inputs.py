"""Items out of a file that was uploaded before: JSON Lines, CSV or a ZIP of images, read piece by piece.

A line that cannot be read becomes a `Broken` in its place, so that every bad line is told.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, dropwhile
from typing import Any

from core.cells import typed
from core.desk import Desk
from core.errors import InvalidRequest
from core.media import BOM, CSV, JSONL, ZIP
from core.models import File
from core.services import archives
from core.services.items import FIELDS, THERE_ARE
from core.services.rows import BY_SKU, Broken
from core.views import BY_FOLDER, BY_NAME

OF_ROWS, OF_PATHS = (BY_SKU,), (BY_FOLDER, BY_NAME)
"""What rows can be grouped by that say their SKU, and those whose path says it."""
LONGEST_LINE = 1_000_000
"""Bytes. An image belongs into a file of its own."""
SEPARATORS = {b";": "semicolons", b"\t": "tabs"}
BETWEEN_IMAGES = re.compile(r";(?=\s*(?:file_|https?://|$))", re.IGNORECASE)
"""A semicolon, but for those within a URL."""
ESCAPED = "surrogateescape"
"""Bytes that are no UTF-8 pass the CSV reader as lone surrogates, so that it can tell their row."""
NOT_UTF8 = "The line is not UTF-8."


def opened(
    desk: Desk, file: File, group_by: str | None = None
) -> AbstractContextManager[Iterable[tuple[int, Any]]]:
    """Line numbers (from 1) and what stands there: an object or Broken. Raises InvalidRequest, NotFound.

    Of an archive, places by name; images that come with the rows can be read until this is left. What they
    are grouped by must be what such a file tells of its rows.
    """
    demand_grouping(group_by, OF_PATHS if file.media_type == ZIP else OF_ROWS)
    pieces = desk.blobs.pieces(file.digest, 0, file.byte_size)
    if file.media_type == ZIP:
        return archives.opened(desk, pieces, group_by)
    if file.media_type not in READERS:
        raise InvalidRequest(
            f"The file {file.name!r} is {file.media_type}: a batch is made from JSON Lines, CSV or a ZIP.",
            details={"field": "input_file_id"},
        )
    return nullcontext(READERS[file.media_type](_lines(pieces, LONGEST_LINE)))


def demand_grouping(group_by: str | None, possible: Sequence[str]) -> None:
    """Raises InvalidRequest unless rows can be grouped so."""
    if group_by is not None and group_by not in possible:
        raise InvalidRequest(
            f"Such inputs are grouped by {' or '.join(possible)}, not by {group_by}.",
            details={"field": "group_by"},
        )


def lines(desk: Desk, file: File, longest: int) -> Iterator[tuple[int, bytes]]:
    """The numbered lines of a file, whatever stands there; of one that is too long, `longest` + 1 bytes.

    Raises NotFound, Unavailable.
    """
    return _lines(desk.blobs.pieces(file.digest, 0, file.byte_size), longest)


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
        return Broken(NOT_UTF8)
    except json.JSONDecodeError as error:
        return Broken(f"The line is not JSON: {error.msg} (character {error.pos + 1}).")
    except RecursionError:
        return Broken("The line is nested too deeply.")
    except ValueError:
        return Broken("The line has a number of too many digits.")


def _csv_rows(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Any]]:
    """Rows behind a header, or only what is wrong with it: every row would suffer from that."""
    lines = dropwhile(_is_blank, lines)
    number, first = next(lines, (1, b""))
    if separator := _other_separator(first):
        yield number, Broken(f"The columns are separated by {separator}: separate them by commas.")
        return
    reader = csv.reader(_text(chain([(number, first)], lines)), strict=True)
    before = number - 1
    try:
        names = [name.strip() for name in next(reader)]
        faults = list(_header_faults(names))
        yield from ((number, fault) for fault in faults)
        for cells in () if faults else reader:
            if cells:
                yield before + reader.line_num, _csv_row(names, cells)
    except csv.Error as error:
        why = str(error).partition(" - ")[0]  # what follows is advice to programmers
        yield before + reader.line_num, Broken(f"The line is not CSV: {why}.")


def _is_blank(line: tuple[int, bytes]) -> bool:
    return not line[1].strip()


def _other_separator(header: bytes) -> str | None:
    """What seems to stand between columns where no comma does."""
    return None if b"," in header else next((SEPARATORS[mark] for mark in SEPARATORS if mark in header), None)


def _header_faults(names: list[str]) -> Iterator[Broken]:
    if not all(map(_was_utf8, names)):
        yield Broken(NOT_UTF8)
    elif len(set(names)) != len(names) or not all(names):
        yield Broken("The first line of a CSV file names its columns, each once.")
    else:
        unknown = [name for name in names if name not in FIELDS]
        yield from (Broken(f"There is no such column; {THERE_ARE}", field=name[:100]) for name in unknown)
        if not {"image", "images"} & set(names):
            yield Broken("There must be a column of this name, or image.", field="images")


def _csv_row(names: list[str], cells: list[str]) -> Any:
    if len(cells) != len(names):
        return Broken(f"It has {len(cells)} columns where the first line names {len(names)}.")
    if not all(map(_was_utf8, cells)):
        return Broken(NOT_UTF8)
    row = typed(dict(zip(names, cells, strict=True)))
    return row | {"images": _images(row["images"])} if "images" in row else row


def _was_utf8(cell: str) -> bool:
    return cell.isascii() or not any("\udc80" <= character <= "\udcff" for character in cell)


def _images(cell: str) -> list[str]:
    return [name.strip() for name in BETWEEN_IMAGES.split(cell)]


def _text(lines: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    return (line.decode(errors=ESCAPED) + "\n" for _, line in lines)


def _lines(pieces: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    """Lines without their ends, and a byte order mark gone; flat in memory but for the longest line."""
    number, rest = 0, b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield number, _clean(line, number)
        rest = rest[: longest + 1]  # of a line that is too long, only that it is
    if rest:
        yield number + 1, _clean(rest, number + 1)


def _clean(line: bytes, number: int) -> bytes:
    return (line.removeprefix(BOM) if number == 1 else line).removesuffix(b"\r")


READERS = {CSV: _csv_rows, JSONL: _json_rows}

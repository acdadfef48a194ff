"""The text of an answer while it is made: places in it, and the parts in which it is told.

A place knows how many bytes stand before it and their checksum. So whoever has read up to a place can go on
from any source, the log in Redis or the stored answer, and is given nothing twice; a text that does not begin
with what was read is noticed, wherever it comes from.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

WRITTEN = re.compile(r"([0-9]{1,12})\.([0-9a-f]{8})", re.ASCII)


class Place(NamedTuple):
    """Where a reader stands: `offset` bytes of UTF-8 into a text, whose CRC-32 is `checksum`."""

    offset: int = 0
    checksum: int = 0

    def __str__(self) -> str:
        return f"{self.offset}.{self.checksum:08x}"

    @classmethod
    def read(cls, written: str) -> Place | None:
        """The place that was written so; None for what never was one."""
        match = WRITTEN.fullmatch(written)
        return cls(int(match[1]), int(match[2], 16)) if match else None

    def behind(self, text: str) -> Place:
        """The place that a reader reaches with more text."""
        encoded = text.encode()
        return Place(self.offset + len(encoded), zlib.crc32(encoded, self.checksum))


START = Place()


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text, and the place where it begins."""

    place: Place
    text: str

    def rest(self, reader: Place) -> str | None:
        """What it has for a reader at a place; None where it begins later, ends before, or differs."""
        encoded = self.text.encode()
        read = reader.offset - self.place.offset
        if not 0 <= read <= len(encoded):
            return None
        if zlib.crc32(encoded[:read], self.place.checksum) != reader.checksum:
            return None
        return encoded[read:].decode(errors="ignore")  # a place that a client made up may split a character

    def fields(self) -> dict[str, str | int]:
        """As an entry of a log."""
        return {"offset": self.place.offset, "checksum": self.place.checksum, "text": self.text}

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Part:
        """The part in an entry of a log."""
        return cls(Place(int(fields["offset"]), int(fields["checksum"])), fields["text"])


def storable(text: str) -> str:
    """A text that Postgres and UTF-8 can hold: without NUL, and with `?` for each half of a pair alone."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-8", "replace").decode()


class Pieces:
    """Makes the pieces of a text storable one by one; together they are what the whole would be.

    JSON may cut a character beyond the first plane into two halves, which come in two pieces.
    """

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """What is complete with this piece; the first half of a pair waits for the second."""
        piece = self._half + piece
        self._half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        whole = piece[: len(piece) - len(self._half)]
        return storable(whole if whole.isascii() else _paired(whole))


def _paired(text: str) -> str:
    """Halves that belong together as one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

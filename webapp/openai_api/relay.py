"""The chunks of an answer as a worker tells them while the endpoint still makes it."""

from __future__ import annotations

import json
from typing import Any

from webapp.hearing import Log


class Relay:
    """Reads the chunks of one call in their order, each once, and notices where one is missing."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._read = 0
        self._call: str | None = None
        self._expected = 0
        """The number of the next chunk."""
        self.is_complete = False
        self.is_broken = False
        """A part is lost, or another call has begun the answer anew."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has come."""
        return self._call is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.is_complete or self.is_broken

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """What is new, as soon as there is something or the time is up."""
        chunks: list[dict[str, Any]] = []
        entries = self._log.after(self._read, seconds)
        self._read += len(entries)
        for part in (fields for fields in entries if "chunks" in fields):
            call, number = part["call"], int(part["number"])
            if call != (self._call or call) or number > self._expected:
                self.is_broken = True
                break
            self._call = call
            new = json.loads(part["chunks"])[self._expected - number :]  # a lost log is told once more
            self._expected += len(new)
            self.is_complete = part["last"] == "1"
            chunks += new
        return chunks

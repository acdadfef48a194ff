"""The chunks of an answer as a worker tells them while the endpoint still makes it."""

from __future__ import annotations

import json
from typing import Any

from core.events import Events


class Relay:
    """Reads the chunks of one call in their order, and notices where one is missing."""

    def __init__(self, events: Events, analysis_id: str) -> None:
        self._events = events
        self._analysis_id = analysis_id
        self._behind = "0"
        self._expected: tuple[str, int] | None = None
        self.is_complete = False
        self.is_broken = False
        """A part is lost, or another call has begun the answer anew."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has come."""
        return self._expected is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.is_complete or self.is_broken

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """What is new, as soon as there is something or the time is up."""
        chunks: list[dict[str, Any]] = []
        for entry_id, part in self._events.parts(self._analysis_id, self._behind, seconds):
            self._behind, here = entry_id, (part["call"], int(part["number"]))
            if here != (self._expected or (here[0], 0)):
                self.is_broken = True
                break
            self._expected = (here[0], here[1] + 1)
            self.is_complete = part["last"] == "1"
            chunks += json.loads(part["chunks"])
        return chunks

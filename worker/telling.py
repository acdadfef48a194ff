"""Chunks of an answer, passed on to whoever waits for them while the answer is still being made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.events import Events


class Telling:
    """The chunks of one call, numbered so that a reader sees gaps; after a failure nothing more is told."""

    def __init__(self, events: Events, analysis_id: str, call_id: str) -> None:
        self._events = events
        self._subject = analysis_id
        self._call_id = call_id
        self._number = 0
        self._failed = False

    @property
    def has_begun(self) -> bool:
        """Whether somebody may have seen a part of the answer."""
        return self._number > 0

    def tell(self, chunks: Sequence[Mapping[str, Any]], *, last: bool = False) -> None:
        """Pass some on; `last` where the answer is complete with them."""
        if self._failed:
            return
        entry: dict[str, str | int] = {
            "call": self._call_id,
            "number": self._number,
            "chunks": json.dumps(chunks),
            "last": int(last),
        }
        self._number += 1
        self._failed = not self._events.publish(self._subject, entry)

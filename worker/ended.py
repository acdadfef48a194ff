"""How an analysis ends without an answer, on its way out of what was tried."""

from __future__ import annotations

from typing import Any

from core.errors import VitrineError
from core.services.outcomes import Closing


class Ended(Exception):
    """An analysis ended without an answer; says what to record."""

    def __init__(
        self,
        error: VitrineError,
        closing: Closing | None = None,
        *,
        again: bool = False,
        counts: bool = True,
        received: str | None = None,
        refusal: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.closing = closing
        self.again = again
        self.counts = counts
        self.received = received
        self.refusal = refusal


class Stopping(Exception):
    """This worker asks nothing more: what it has not asked yet is for others."""

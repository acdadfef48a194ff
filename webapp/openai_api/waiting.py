"""A client that waits for a chat, and may hang up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from core.desk import Desk
from core.errors import Timeout
from core.models import Analysis
from core.services import analyses, chat
from core.states import FINAL

LOOK_SECONDS = 1.0
"""Between two looks whether the client is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Waits for an analysis until a time of time.monotonic()."""

    desk: Desk
    account_id: str
    analysis_id: str
    until: float
    has_gone: Callable[[], bool]
    abandons: bool
    """Whether nobody can come back for the answer, so that a chat is cancelled when its client goes."""

    def is_over(self, end: float = inf) -> bool:
        """Whether the time is up, or another end reached, or the client has gone."""
        return time.monotonic() >= min(self.until, end) or self.has_gone()

    def look(self, seconds: float) -> Analysis:
        """The analysis as soon as it is final; as it stands after some seconds, or when waiting is over."""
        end = min(self.until, time.monotonic() + seconds)
        while True:
            left = max(0.0, end - time.monotonic())
            found = analyses.wait(self.desk, self.account_id, self.analysis_id, min(LOOK_SECONDS, left))
            if found.state in FINAL or self.is_over(end):
                return found

    def final(self) -> Analysis:
        """The analysis when it is final. Raises Timeout."""
        found = self.look(self.until - time.monotonic())
        if found.state not in FINAL:
            raise self.give_up()
        return found

    def give_up(self) -> Timeout:
        """The error of a chat that takes too long, which is cancelled if nobody can come back for it."""
        if self.abandons:
            chat.abandon(self.desk, self.account_id, self.analysis_id)
        return Timeout(details={"analysis_id": self.analysis_id})

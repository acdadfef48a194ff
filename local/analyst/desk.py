"""What all handlers of one running analyst share."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from local.analyst.errors import ApiError
from local.analyst.knobs import Knobs
from local.analyst.ledger import ImageShelf, Ledger
from local.analyst.limiter import TokenBucket


@dataclass
class Desk:
    """The knobs as they stand, the ledger, the rate limit, and the threads that measure."""

    knobs: Knobs
    ledger: Ledger
    executor: ThreadPoolExecutor
    shelf: ImageShelf | None = None
    bucket: TokenBucket | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._renew_bucket()

    def turn(self, changes: Any) -> None:
        """Change some knobs; a new rate limit starts with a full bucket."""
        before, self.knobs = self.knobs, self.knobs.changed(changes)
        if before.requests_per_minute != self.knobs.requests_per_minute:
            self._renew_bucket()

    def admit(self) -> dict[str, str]:
        """Let a call in and give the headers for its reply; raises ApiError (429)."""
        if self.knobs.insufficient_quota:
            raise ApiError(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                kind="insufficient_quota",
                code="insufficient_quota",
            )
        return self.bucket.take() if self.bucket else {}

    def _renew_bucket(self) -> None:
        limit = self.knobs.requests_per_minute
        self.bucket = TokenBucket(limit) if limit else None

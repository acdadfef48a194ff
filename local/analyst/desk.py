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
    """The knobs as they stand, the ledger, the rate limits, and the threads that measure."""

    knobs: Knobs
    ledger: Ledger
    executor: ThreadPoolExecutor
    shelf: ImageShelf | None = None
    requests: TokenBucket | None = field(init=False, default=None)
    tokens: TokenBucket | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._renew_buckets()

    def turn(self, changes: Any) -> None:
        """Change some knobs; new rate limits start with full buckets."""
        before, self.knobs = self.knobs, self.knobs.changed(changes)
        if _limits(before) != _limits(self.knobs):
            self._renew_buckets()

    def admit(self) -> dict[str, str]:
        """Let a call in and give the headers for its reply; raises ApiError (429)."""
        if self.knobs.insufficient_quota:
            raise ApiError(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                kind="insufficient_quota",
                code="insufficient_quota",
            )
        return self.requests.take() if self.requests else {}

    def admit_tokens(self, tokens: int) -> dict[str, str]:
        """Let a call of so many tokens go on and give more headers for its reply; raises ApiError (429)."""
        return self.tokens.take(tokens) if self.tokens else {}

    def _renew_buckets(self) -> None:
        requests, tokens, burst = _limits(self.knobs)
        self.requests = TokenBucket("requests", requests, burst) if requests else None
        self.tokens = TokenBucket("tokens", tokens, burst) if tokens else None


def _limits(knobs: Knobs) -> tuple[int, int, float]:
    return knobs.requests_per_minute, knobs.tokens_per_minute, knobs.rate_burst

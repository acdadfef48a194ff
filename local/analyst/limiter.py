"""A rate limit with the headers OpenAI sends (platform guide "Rate limits", "in headers")."""

import math
import time

from local.analyst.errors import ApiError


class TokenBucket:
    """Lets `per_minute` of a kind through evenly, and what `burst` seconds bring together at once."""

    def __init__(self, kind: str, per_minute: int, burst: float = 60.0) -> None:
        self._kind = kind
        self._per_minute = per_minute
        self._size = max(1.0, per_minute * burst / 60)
        self._tokens = self._size
        self._at = time.monotonic()

    def take(self, amount: int = 1) -> dict[str, str]:
        """Take an amount and give the headers to send; raises ApiError (429) when there is too little."""
        self._refill()
        # More than the bucket holds is let through when it is full: else it never would be.
        if self._tokens < min(amount, self._size):
            raise self._refusal(amount)
        self._tokens -= amount
        return self.headers()

    def headers(self) -> dict[str, str]:
        """Say how much is left, and when the bucket will be full again."""
        return {
            f"x-ratelimit-limit-{self._kind}": str(self._per_minute),
            f"x-ratelimit-remaining-{self._kind}": str(max(0, int(self._tokens))),
            f"x-ratelimit-reset-{self._kind}": duration(self._seconds(self._size)),
        }

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_minute / 60)
        self._at = now

    def _seconds(self, level: float) -> float:
        """How long until the bucket holds so much."""
        return (level - self._tokens) * 60 / self._per_minute

    def _refusal(self, amount: int) -> ApiError:
        wait = self._seconds(min(amount, self._size))
        return ApiError(
            429,
            f"Rate limit reached for pixel-analyst: limit {self._per_minute} {self._kind} per minute. "
            f"Please try again in {duration(wait)}.",
            kind=self._kind,
            code="rate_limit_exceeded",
            headers=self.headers() | {"Retry-After": str(math.ceil(wait))},
        )


def duration(seconds: float) -> str:
    """Write seconds as OpenAI does: `20ms`, `1.5s`, `6m0s`, `1h2m3s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{rest:g}s" if not head else f"{head}{round(rest)}s"

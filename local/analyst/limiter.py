"""A rate limit with the headers OpenAI sends (platform guide "Rate limits", "in headers")."""

import math
import time

from local.analyst.errors import ApiError


class TokenBucket:
    """Lets `per_minute` requests through at once, and as many again evenly over each minute."""

    def __init__(self, per_minute: int) -> None:
        self._size = per_minute
        self._tokens = float(per_minute)
        self._at = time.monotonic()

    def take(self) -> dict[str, str]:
        """Take one token and give the headers to send; raises ApiError (429) when there is none."""
        self._refill()
        if self._tokens < 1:
            raise self._refusal()
        self._tokens -= 1
        return self.headers()

    def headers(self) -> dict[str, str]:
        """Say how much is left, and when the bucket will be full again."""
        return {
            "x-ratelimit-limit-requests": str(self._size),
            "x-ratelimit-remaining-requests": str(int(self._tokens)),
            "x-ratelimit-reset-requests": duration((self._size - self._tokens) * 60 / self._size),
        }

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._size / 60)
        self._at = now

    def _refusal(self) -> ApiError:
        wait = (1 - self._tokens) * 60 / self._size
        return ApiError(
            429,
            f"Rate limit reached for pixel-analyst: limit {self._size} requests per minute. "
            f"Please try again in {duration(wait)}.",
            kind="requests",
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

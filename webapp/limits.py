"""How many requests a key, or an address, may make in a window of time.

Windows are those of the clock (a minute begins with its first second), and each is one counter in Redis: one
round trip counts a request and tells how many are left. See docs/decisions/0011-rate-limits.md.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import redis
import structlog
from flask import Flask, Response, after_this_request, current_app
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage

from core.errors import RateLimitExceeded
from core.quiet import Quiet
from core.redis import PREFIX, connect

LIMIT, REMAINING, RESET = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
HEADERS = (LIMIT, REMAINING, RESET)
WORDS = {
    "submissions": "This API key may submit {limit}. Many images fit into one batch.",
    "uploads": "This API key may upload files {limit}.",
    "failures": "There were too many requests without a valid API key from here; allowed are {limit}.",
}

log = structlog.get_logger(__name__)
parsed = cache(parse)


class Counted(StrEnum):
    """What is limited, each by itself."""

    SUBMISSIONS = "submissions"
    UPLOADS = "uploads"
    FAILURES = "failures"
    """Of authentication."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit in the window that ends at `reset` (Unix seconds)."""

    limit: int
    used: int
    reset: int

    def head(self, response: Response) -> Response:
        """Tell the client."""
        left = max(0, self.limit - self.used)
        for name, value in zip(HEADERS, (self.limit, left, self.reset), strict=True):
            response.headers[name] = str(value)
        return response


class Limits:
    """Counts in Redis; while that is away, in this process, so that each process has a count of its own."""

    def __init__(self, redis_url: str, quiet: Quiet) -> None:
        pool = connect(redis_url).connection_pool
        self._shared = RedisStorage(redis_url, connection_pool=pool, key_prefix=f"{PREFIX}limits")
        self._own = MemoryStorage()
        self._quiet = quiet

    def count(self, what: Counted, whose: str, rate: str) -> None:
        """Count a request, and tell the client where it stands. Raises RateLimitExceeded."""
        item = parsed(rate)
        window, into = divmod(time.time(), item.get_expiry())
        used = self._increased(item, item.key_for(what, whose, str(int(window))))
        allowance = Allowance(item.amount, used, int((window + 1) * item.get_expiry()))
        after_this_request(allowance.head)
        if used > item.amount:
            message = WORDS[what].format(limit=f"{item.amount:,} times per {item.GRANULARITY.name}")
            details = {"limit": rate, "reset": allowance.reset}
            raise RateLimitExceeded(message, details=details, retry_after=math.ceil(item.get_expiry() - into))

    def _increased(self, item: RateLimitItem, name: str) -> int:
        if not self._quiet.now():
            try:
                return self._shared.incr(name, item.get_expiry())
            except redis.RedisError as error:
                self._quiet.begin()
                log.warning("limits_unavailable", error=type(error).__name__)
        return self._own.incr(name, item.get_expiry())


def register(app: Flask, redis_url: str, quiet: Quiet) -> None:
    """Give the app its limits."""
    app.extensions["limits"] = Limits(redis_url, quiet)


def limits() -> Limits:
    """The limits of this app."""
    found: Limits = current_app.extensions["limits"]
    return found

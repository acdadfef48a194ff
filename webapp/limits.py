"""How many requests a key, or an address, may make in a window of time: Flask-Limiter, set up for an app.

See docs/decisions/0011-rate-limits.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from operator import attrgetter
from typing import Any, cast

import flask_limiter
from flask import Flask, Response, current_app, g
from flask_limiter import HeaderNames, Limiter, RequestLimit
from flask_limiter.util import get_remote_address

from core.desk import Desk
from core.errors import RateLimitExceeded
from core.redis import PREFIX, connect
from webapp import errors
from webapp.quiet_storage import SCHEME

RESET_AFTER = "X-RateLimit-Reset-After"
"""Takes what Flask-Limiter would write into Retry-After, on every answer and over ours."""
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", RESET_AFTER)
DOCUMENTED = {name: {"schema": {"type": "integer"}} for name in HEADERS}


class Counted(StrEnum):
    """What is limited, each by itself."""

    SUBMISSIONS = "submissions"
    UPLOADS = "uploads"
    FAILURES = "failures"
    """Of authentication."""


WORDS = {
    Counted.SUBMISSIONS: "This API key may submit {limit}; a batch counts once, whatever is in it.",
    Counted.UPLOADS: "This API key may upload files, compare images, and begin sessions {limit}.",
    Counted.FAILURES: "There were too many requests without a valid API key from here; allowed are {limit}.",
}


def register(app: Flask, desk: Desk) -> None:
    """Give the app its limits."""
    limiter, settings = _limiter(app, desk), desk.settings

    def own_rate() -> str:
        return g.key.rate_limit or settings.rate_limit

    def counter(what: Counted, rate: str | Callable[[], str], **options: Any) -> Callable[[], None]:
        def count() -> None:
            pass

        count.__qualname__ = what  # by which Flask-Limiter tells functions apart
        refused = partial(_refused, WORDS[what])
        return limiter.shared_limit(rate, what, on_breach=refused, **options)(count)

    app.extensions["limits"] = {
        Counted.SUBMISSIONS: counter(Counted.SUBMISSIONS, own_rate),
        Counted.UPLOADS: counter(Counted.UPLOADS, settings.upload_rate_limit),
        Counted.FAILURES: counter(Counted.FAILURES, settings.failure_rate_limit, key_func=get_remote_address),
    }
    app.register_error_handler(flask_limiter.RateLimitExceeded, attrgetter("response"))


def count(what: Counted) -> None:
    """Count this request, unless its key is unlimited.

    Raises flask_limiter.RateLimitExceeded, whose response is our envelope.
    """
    if "key" not in g or not g.key.unlimited:
        current_app.extensions["limits"][what]()


def _limiter(app: Flask, desk: Desk) -> Limiter:
    """Of this app alone. Counts by key, in Redis; while that is away, each process by itself."""
    options = {
        "connection_pool": connect(desk.settings.redis_url).connection_pool,
        "key_prefix": f"{PREFIX}limits",
        "quiet": desk.redis_quiet,
    }
    limiter = Limiter(
        lambda: str(g.key.id),
        app=app,
        storage_uri=f"{SCHEME}://",
        storage_options=cast("Any", options),
        in_memory_fallback_enabled=True,
        headers_enabled=True,
        header_name_mapping={HeaderNames.RETRY_AFTER: RESET_AFTER},
    )
    # It would look for limits before every request: here one is counted as soon as it is known whose it is.
    app.before_request_funcs[None].remove(limiter._check_request_limit)  # noqa: SLF001
    return limiter


def _refused(words: str, breached: RequestLimit) -> Response:
    rate, reset = breached.limit, breached.reset_at
    unit = rate.GRANULARITY.name
    message = words.format(limit=f"{rate.amount:,} times per {unit}")
    details = {"limit": f"{rate.amount}/{unit}", "reset": reset}
    return errors.answer(RateLimitExceeded(message, details=details, retry_after=reset - time.time()))

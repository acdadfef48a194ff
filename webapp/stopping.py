"""Whether this process has been told to stop: who waits is answered, who watches is sent elsewhere."""

from __future__ import annotations

import time
from math import inf

_begun_at = inf
"""A time of time.monotonic()."""


def begin() -> None:
    """It has: gunicorn's worker says so (webapp.connections)."""
    global _begun_at  # noqa: PLW0603  (a process stops once)
    _begun_at = min(_begun_at, time.monotonic())


def has_begun(seconds_ago: float = 0.0) -> bool:
    """Whether it has, and so long ago."""
    return time.monotonic() >= _begun_at + seconds_ago

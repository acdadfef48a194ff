"""Whether this process has been told to stop: who waits is answered, who watches is sent elsewhere."""

from __future__ import annotations

import threading

_begun = threading.Event()


def begin() -> None:
    """It has: gunicorn's worker says so (webapp.connections)."""
    _begun.set()


def has_begun() -> bool:
    """Whether it has."""
    return _begun.is_set()

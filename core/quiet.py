"""Not asking again at once what has just failed to answer."""

from __future__ import annotations

import threading
import time

SILENCE = 5.0
"""Seconds without another try: something that hangs then delays a few requests, and not each of them."""


class Quiet:
    """Shared by the threads of a process that use the same thing."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()

    def now(self) -> bool:
        """Whether it is better left alone for the moment."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """It failed just now."""
        with self._lock:
            self._until = time.monotonic() + SILENCE

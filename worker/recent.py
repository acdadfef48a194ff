"""What was made a short while ago and may be wanted again, up to so many bytes of it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps values by their keys until they are `seconds` old, or others need their room; for any thread."""

    def __init__(self, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._clock = clock
        self._bytes = 0
        self._kept: OrderedDict[K, tuple[V, int, float]] = OrderedDict()  # the oldest first
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """The value, where it is kept."""
        with self._lock:
            self._drop()
            kept = self._kept.get(key)
            return kept[0] if kept else None

    def keep(self, key: K, value: V, size: int) -> None:
        """Keep a value of so many bytes."""
        with self._lock:
            self._forget(key)
            self._kept[key] = value, size, self._clock() + self._seconds
            self._bytes += size
            self._drop()

    def _drop(self) -> None:
        """Forget what is too old, and the oldest of what is too much."""
        now = self._clock()
        while self._kept:
            key, (_, _, end) = next(iter(self._kept.items()))
            if end > now and self._bytes <= self._most_bytes:
                return
            self._forget(key)

    def _forget(self, key: K) -> None:
        if kept := self._kept.pop(key, None):
            self._bytes -= kept[1]

"""What was made or done a short while ago and may be wanted again, up to so much of it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps values by their keys until they are `seconds` old, or others need their room; for any thread.

    `most` is what their sizes may add up to.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._size = 0
        self._kept: OrderedDict[K, tuple[V, int, float]] = OrderedDict()  # the oldest first
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """The value, where it is kept."""
        with self._lock:
            self._drop()
            kept = self._kept.get(key)
            return kept[0] if kept else None

    def keep(self, key: K, value: V, size: int = 1) -> None:
        """Keep a value of this size, unless it is larger than all the room."""
        with self._lock:
            self._forget(key)
            if size > self._most:
                return
            self._kept[key] = value, size, self._clock() + self._seconds
            self._size += size
            self._drop()

    def _drop(self) -> None:
        """Forget what is too old, and the oldest of what is too much."""
        now = self._clock()
        while self._kept:
            key, (_, _, end) = next(iter(self._kept.items()))
            if end > now and self._size <= self._most:
                return
            self._forget(key)

    def _forget(self, key: K) -> None:
        if kept := self._kept.pop(key, None):
            self._size -= kept[1]

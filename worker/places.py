"""How many requests one host gets at a time from all workers together, and all hosts from one worker.

A place is a lease in Redis, so that a worker that dies frees its own. While Redis is away each worker counts
for itself. A slow host so takes a few slots of the workers, and all slow hosts together not all of them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.ids import new_id
from core.redis import PREFIX
from worker.scripts import Away, Script, Scripts, Step

ENTER = Script(Path(__file__).with_name("places.lua").read_text())
LEAVE = Script("return redis.call('ZREM', KEYS[1], ARGV[1])")
WAIT = 2.0
"""Seconds that a slot waits for a place; then somebody else may use the slot."""
LOOK = 0.1
"""Seconds between two looks, with jitter."""


class Full(Exception):
    """No place became free in time."""


class Places:
    """Of one worker process; its threads share it.

    most: places of each host. most_here: places that this process takes, whatever the host.
    seconds: the longest that anyone keeps one.
    """

    def __init__(self, scripts: Scripts, most: int, most_here: int, seconds: float) -> None:
        self._scripts = scripts
        self._most = most
        self._here = threading.BoundedSemaphore(most_here)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._alone: Counter[str] = Counter()

    @contextmanager
    def at(self, host: str) -> Iterator[None]:
        """Hold a place at a host. Raises Full."""
        end = time.monotonic() + WAIT
        if not self._here.acquire(timeout=WAIT):
            raise Full
        try:
            with self._at(host, end):
                yield
        finally:
            self._here.release()

    @contextmanager
    def _at(self, host: str, end: float) -> Iterator[None]:
        ticket = new_id("place")
        while (is_shared := self._take(host, ticket)) is None:
            if time.monotonic() >= end:
                raise Full
            time.sleep(LOOK * random.uniform(0.5, 1.5))  # noqa: S311 - no secret hangs on it
        try:
            yield
        finally:
            self._give_back(host, ticket, is_shared=is_shared)

    def _take(self, host: str, ticket: str) -> bool | None:
        """Whether a place was taken among all workers (True) or in this one alone (False); None if full."""
        with suppress(Away):
            entering = Step(ENTER, _key(host), (ticket, self._seconds, self._most), bool)
            return self._scripts.run(entering) or None
        with self._lock:
            if self._alone[host] >= self._most:
                return None
            self._alone[host] += 1
            return False

    def _give_back(self, host: str, ticket: str, *, is_shared: bool) -> None:
        if is_shared:
            with suppress(Away):  # it runs out by itself
                self._scripts.run(Step(LEAVE, _key(host), (ticket,), bool))
            return
        with self._lock:
            self._alone[host] -= 1
            self._alone += Counter()  # forget hosts where nobody is


def _key(host: str) -> str:
    return f"{PREFIX}places:{host}"

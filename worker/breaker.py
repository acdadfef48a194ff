"""The circuit breaker of one endpoint credential: in Redis for all workers, or in this process alone.

Closed, it counts. It opens at half of at least 20 calls failing within 30 seconds. While it is open nothing
is asked; after 5 seconds, and twice as long each time up to 60, one call of all workers is let through as a
probe, and what comes of that closes it or opens it again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from worker.scripts import Script, Scripts, Step

SLOT, SLOTS = 3, 10
"""Calls are counted by spans of so many seconds, of which so many are looked at."""
LEAST_CALLS, FAILURE_RATE = 20, 0.5
FIRST_REST, LONGEST_REST = 5.0, 60.0
LOOK_AGAIN = 1.0
"""Seconds to wait while a probe is on its way."""
SCRIPT = Script(Path(__file__).with_name("breaker.lua").read_text())

Turned = Literal["opened", "closed", ""]
T = TypeVar("T")


class Pass(NamedTuple):
    """Whether a call may leave: `wait` is 0 then; `probe` where it is the one that is let through to see."""

    wait: float
    probe: bool


class Breaker(Protocol):
    """What both breakers can do."""

    def ask(self, probe_seconds: float) -> Pass:
        """Whether a call may leave; a probe that brings no news in so many seconds is given up."""

    def tell(self, *, failed: bool, probe: bool) -> Turned:
        """How a call went; whether that turned the breaker."""

    def release(self) -> None:
        """The probe never left."""

    def rest(self) -> float:
        """Seconds for which nothing is asked; 0.0 where it is closed, or waits for a probe."""


class SharedBreaker:
    """In Redis, for every worker with this credential; its operations raise Away.

    Those that come often can also be had as steps, to be done together with another.
    """

    def __init__(self, scripts: Scripts, key: str, clock: Callable[[], float] | None = None) -> None:
        self._scripts = scripts
        self._key = f"{key}:breaker"
        self._clock = clock

    def ask(self, probe_seconds: float) -> Pass:
        """See Breaker."""
        return self._scripts.run(self.asking(probe_seconds))

    def tell(self, *, failed: bool, probe: bool) -> Turned:
        """See Breaker."""
        return self._scripts.run(self.telling(failed=failed, probe=probe))

    def release(self) -> None:
        """See Breaker."""
        self._scripts.run(self._step(bytes, "release"))

    def rest(self) -> float:
        """See Breaker."""
        return self._scripts.run(self.resting())

    def asking(self, probe_seconds: float) -> Step[Pass]:
        """What `ask` does."""
        return self._step(_pass, "ask", probe_seconds)

    def telling(self, *, failed: bool, probe: bool) -> Step[Turned]:
        """What `tell` does."""
        return self._step(_turned, "tell", int(failed), int(probe))

    def resting(self) -> Step[float]:
        """What `rest` does."""
        return self._step(float, "rest")

    def _step(self, read: Callable[[Any], T], verb: str, *arguments: float) -> Step[T]:
        now = "" if self._clock is None else self._clock()
        return Step(SCRIPT, self._key, (verb, now, *arguments), read)


def _pass(answer: tuple[bytes, int]) -> Pass:
    wait, probe = answer
    return Pass(float(wait), bool(probe))


def _turned(answer: bytes) -> Turned:
    turned: Turned = answer.decode()  # type: ignore[assignment]
    return turned


class LocalBreaker:
    """In this process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._probe_until = 0.0
        self._openings = 0
        self._calls: Counter[int] = Counter()
        self._failures: Counter[int] = Counter()

    def ask(self, probe_seconds: float) -> Pass:
        """See Breaker."""
        with self._lock:
            wait = self._wait()
            probe = self._open_until > 0 and not wait
            if probe:
                self._probe_until = self._clock() + probe_seconds
            return Pass(wait, probe)

    def tell(self, *, failed: bool, probe: bool) -> Turned:
        """See Breaker."""
        with self._lock:
            if probe and not failed:
                self._close()
                return "closed"
            if self._open_until > 0 and not probe:
                return ""  # late news of a call that left before it opened
            if probe or self._count(failed=failed):
                return self._open()
            return ""

    def release(self) -> None:
        """See Breaker."""
        self._probe_until = 0.0

    def rest(self) -> float:
        """See Breaker."""
        with self._lock:
            return self._wait()

    def _wait(self) -> float:
        now = self._clock()
        if now < self._open_until:
            return self._open_until - now
        return LOOK_AGAIN if self._open_until > 0 and self._probe_until > now else 0.0

    def _open(self) -> Turned:
        rest: float = min(LONGEST_REST, FIRST_REST * 2.0 ** min(self._openings, 10))
        self._open_until, self._probe_until = self._clock() + rest, 0.0
        self._openings += 1
        return "opened"

    def _close(self) -> None:
        self._open_until = self._probe_until = 0.0
        self._openings = 0
        self._calls.clear()
        self._failures.clear()

    def _count(self, *, failed: bool) -> bool:
        """Whether too many calls have failed, this one included."""
        slot = int(self._clock() // SLOT)
        for counter in (self._calls, self._failures):
            for old in [each for each in counter if each <= slot - SLOTS]:
                del counter[old]
        self._calls[slot] += 1
        self._failures[slot] += failed
        calls = self._calls.total()
        return calls >= LEAST_CALLS and self._failures.total() >= FAILURE_RATE * calls

"""The token bucket pair of one endpoint credential: in Redis for all workers, or in this process alone.

Both are the generic cell rate algorithm, the bucket written as times
(https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm): for requests and for tokens we keep the moment at
which what was taken is paid off, and a call may leave once that is past. So a limit that changes needs no
conversion, and nothing has to be refilled. The constants are chosen so that no 60 seconds hold more than the
limit, whichever way the endpoint counts; docs/decisions/0009-throttle.md has the arithmetic.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from worker.limits import Limit, Signals
from worker.scripts import Script, Scripts, Step

SPARE = 1.0
"""Seconds of the rate that an idle bucket keeps for a burst."""
SHARE = 0.25
"""Seconds of the rate that bulk calls leave to interactive ones."""
NAP = 10.0
"""Longest wait in seconds for which a place is kept."""
USED = 59 / 60
"""Part of the limit that is used."""
FIRST = 120.0
"""Requests per minute where no limit is known: before the first answer, and after it stopped us."""
SOON = 0.5
"""Seconds after which a call asks again where no limit is known: the first answer may name one any time."""
FORGET = 60.0
"""Seconds of answers that name no limit, after which the last one named is forgotten."""
LONGEST_BACKOFF = 60.0
SCRIPT = Script(Path(__file__).with_name("bucket.lua").read_text())


class PerMinute(NamedTuple):
    """Limits that are set by the operator; 0 is to be learned."""

    requests: float = 0
    tokens: float = 0


class Bucket(Protocol):
    """What both buckets can do."""

    def take(self, tokens: int, *, bulk: bool, placed: bool = False) -> float:
        """Take a request and so many tokens: 0.0 where the call may leave, else seconds to wait.

        Nothing is taken then, but for a wait of at most NAP a place is kept: come back and say `placed`.
        """

    def give_back(self, tokens: int) -> None:
        """Undo a `take` whose call never left."""

    def settle(self, tokens: int, used: int | None, signals: Signals, random: float) -> None:
        """Correct the estimate by what was used, and learn from the answer.

        `random` is from 0 to 1, for the jitter of a backoff where the endpoint says no time.
        """

    def backlog(self) -> float:
        """Seconds until a bulk call that comes now would leave; not above 0 where it would leave at once."""


class SharedBucket:
    """In Redis, for every worker with this credential; its operations raise Away.

    Those that come often can also be had as steps, to be done together with another.
    """

    def __init__(
        self, scripts: Scripts, key: str, limits: PerMinute, clock: Callable[[], float] | None = None
    ) -> None:
        self._scripts = scripts
        self._key = f"{key}:bucket"
        self._limits = limits
        self._clock = clock

    def take(self, tokens: int, *, bulk: bool, placed: bool = False) -> float:
        """See Bucket."""
        return self._scripts.run(self.taking(tokens, bulk=bulk, placed=placed))

    def give_back(self, tokens: int) -> None:
        """See Bucket."""
        self._scripts.run(self._step("give_back", tokens))

    def settle(self, tokens: int, used: int | None, signals: Signals, random: float) -> None:
        """See Bucket."""
        self._scripts.run(self.settling(tokens, used, signals, random))

    def backlog(self) -> float:
        """See Bucket."""
        return self._scripts.run(self.waiting())

    def taking(self, tokens: int, *, bulk: bool, placed: bool) -> Step[float]:
        """What `take` does."""
        return self._step("take", tokens, int(bulk), int(placed))

    def settling(self, tokens: int, used: int | None, signals: Signals, random: float) -> Step[float]:
        """What `settle` does."""
        told = [*astuple(signals.requests), *astuple(signals.tokens)]
        stop = [int(signals.limited), signals.retry_after]
        numbers = [-1 if value is None else value for value in (used, *told, *stop)]
        return self._step("settle", tokens, *numbers, random)

    def waiting(self) -> Step[float]:
        """What `backlog` does."""
        return self._step("backlog")

    def _step(self, verb: str, *arguments: float) -> Step[float]:
        now = "" if self._clock is None else self._clock()
        return Step(SCRIPT, self._key, (verb, now, *self._limits, *arguments), float)


@dataclass(slots=True)
class _Kind:
    """One of the pair."""

    paid_at: float = 0.0
    """When all that was taken is paid off."""
    limit: float = 0.0
    """Per minute, as last learned."""
    learned_at: float = 0.0


class LocalBucket:
    """In this process, which takes its share of the limits: one in `workers`."""

    def __init__(self, limits: PerMinute, clock: Callable[[], float] = time.time) -> None:
        self.workers = 1
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds = (_Kind(), _Kind())
        self._next = {True: 0.0, False: 0.0}
        """The first place that is not taken, for bulk and for interactive calls."""
        self._blocked = 0.0
        self._strikes = 0
        self._easy = False
        """Whether the endpoint answered since it last stopped us."""
        self._heard_at = 0.0

    @property
    def blocked(self) -> float:
        """Seconds that the endpoint still wants to be left alone; not above 0 where it does not."""
        return self._blocked - self._clock()

    @property
    def limits(self) -> PerMinute:
        """The endpoint's limits, set or learned; 0 where there is none that is known."""
        with self._lock:
            return PerMinute(self._known(0), self._known(1))

    def take(self, tokens: int, *, bulk: bool, placed: bool = False) -> float:
        """See Bucket."""
        with self._lock:
            now, costs = self._clock(), self._costs(tokens)
            start = max([self._blocked, *self._free_at(costs, SHARE if bulk else 0.0)])
            if not placed and any(costs) and not self._guesses():
                start = max(start, self._next[bulk])
                self._keep_place(bulk, now, start, max(costs))
            if start - now > 0.001:
                soon = max(min(start - now, SOON), self._blocked - now)
                return soon if self._guesses() else start - now
            for kind, cost in zip(self._kinds, costs, strict=True):
                if cost:
                    kind.paid_at = max(kind.paid_at, now - SPARE) + cost
            return 0.0

    def give_back(self, tokens: int) -> None:
        """See Bucket."""
        with self._lock:
            for kind, cost in zip(self._kinds, self._costs(tokens), strict=True):
                kind.paid_at -= cost

    def settle(self, tokens: int, used: int | None, signals: Signals, random: float) -> None:
        """See Bucket."""
        with self._lock:
            now = self._clock()
            if used is not None:
                self._kinds[1].paid_at += self._cost(1, used - tokens)
            self._heard_at = now
            self._learn(0, 1, signals.requests, now)
            self._learn(1, tokens, signals.tokens, now)
            if signals.limited:
                self._block(signals.retry_after, now, random)
            else:
                self._easy = True
                self._strikes = self._strikes if self._blocked > now else 0

    def backlog(self) -> float:
        """See Bucket."""
        return max(self._blocked, self._next[True]) - self._clock()

    def _known(self, position: int) -> float:
        kind = self._kinds[position]
        is_fresh = self._heard_at - kind.learned_at <= FORGET
        return self._limits[position] or (kind.limit if is_fresh else 0.0)

    def _guesses(self) -> bool:
        return not self._easy and not self._known(0)

    def _limit(self, position: int) -> float:
        guessed = position == 0 and self._guesses()
        return (FIRST if guessed else self._known(position)) / self.workers

    def _cost(self, position: int, amount: float) -> float:
        """Seconds of the rate that an amount takes; 0 where there is no limit."""
        limit = self._limit(position)
        return amount * 60 / (limit * USED) if limit else 0.0

    def _costs(self, tokens: int) -> tuple[float, float]:
        return self._cost(0, 1), self._cost(1, tokens)

    def _free_at(self, costs: tuple[float, float], share: float) -> list[float]:
        return [kind.paid_at + share for kind, cost in zip(self._kinds, costs, strict=True) if cost]

    def _keep_place(self, bulk: bool, now: float, start: float, interval: float) -> None:
        """Keep a place for a call that waits; what is interactive moves the places of bulk calls back."""
        if start - now > NAP:
            return
        if not bulk and self._next[True] > now:
            self._next[True] += interval
        if start - now > 0.001:
            self._next[bulk] = start + interval

    def _learn(self, position: int, need: int, told: Limit, now: float) -> None:
        kind = self._kinds[position]
        if told.per_minute:
            kind.limit, kind.learned_at = told.per_minute, now
        if told.remaining is not None and told.remaining < need:  # others use the credential too
            wait = self._cost(position, need - told.remaining)
            if told.reset is not None and (not wait or told.reset < wait):
                wait = told.reset
            kind.paid_at = max(kind.paid_at, now + min(wait, LONGEST_BACKOFF))

    def _block(self, seconds: float | None, now: float, random: float) -> None:
        """Let no call leave for so long, or for a random part of a doubling wait; then begin empty."""
        if seconds is None:
            if self._blocked > now:
                return
            seconds = random * min(LONGEST_BACKOFF, 2.0 ** min(self._strikes, 10))
            self._strikes += 1
        self._blocked, self._easy = max(self._blocked, now + seconds), False
        for kind in self._kinds:
            kind.paid_at = max(kind.paid_at, self._blocked)

"""One throttle for all that talk to one endpoint with one credential.

Every call takes a turn: the bucket says when it may leave, the breaker whether. Both live in Redis, so that
all workers are one; while Redis is away, each worker goes by its own, with its share of the limits.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from config import Settings
from core import metrics
from core.errors import ModelOverloaded, RateLimitExceeded, VitrineError
from core.redis import PREFIX
from worker.breaker import Breaker, LocalBreaker, Pass, SharedBreaker
from worker.bucket import NAP, Bucket, LocalBucket, PerMinute, SharedBucket
from worker.limits import Signals
from worker.scripts import Away, Scripts

CLOSED = Pass(wait=0.0, probe=False)
"""What a breaker says that lets every call through."""

T = TypeVar("T")
U = TypeVar("U")

log = structlog.get_logger(__name__)


class Busy(Exception):
    """No call may leave for longer than a slot is worth holding; `error.retry_after` says how long."""

    def __init__(self, error: VitrineError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class Turn:
    """The leave for one call. Say `left` before it leaves and `heard` when something came of it."""

    tokens: int
    """Estimated, prompt and answer together."""
    probe: bool
    left: bool = False
    signals: Signals | None = None
    used: int | None = None

    def heard(self, signals: Signals, used: int | None = None) -> None:
        """What came of the call, and how many tokens it used where it tells."""
        self.signals, self.used = signals, used


class Throttle:
    """Of one worker process; its threads share it."""

    def __init__(self, settings: Settings) -> None:
        limits = PerMinute(settings.endpoint_requests_per_minute, settings.endpoint_tokens_per_minute)
        self._probe_seconds = settings.call_timeout + NAP
        self._scripts = Scripts(settings.redis_url)
        key = f"{PREFIX}throttle:{credential(settings)}"
        self._bucket, self._breaker = (
            SharedBucket(self._scripts, key, limits),
            SharedBreaker(self._scripts, key),
        )
        self._alone, self._breaker_alone = LocalBucket(limits), LocalBreaker()
        self._buckets: tuple[Bucket, Bucket] = self._bucket, self._alone
        self._breakers: tuple[Breaker, Breaker] = self._breaker, self._breaker_alone

    @contextmanager
    def turn(self, tokens: int, *, bulk: bool) -> Iterator[Turn]:
        """Wait until a call may leave; it leaves in the block. Raises Busy rather than wait for long.

        Nothing is locked and no transaction is open meanwhile; a heartbeat keeps the lease.
        """
        with metrics.THROTTLE_WAIT.time():
            leave = self._wait(tokens, bulk=bulk)
        if leave.wait:
            self._first(self._buckets, lambda bucket: bucket.give_back(tokens))
            raise Busy(_resting(leave.wait))
        turn = Turn(tokens, leave.probe)
        try:
            yield turn
        finally:
            self._end(turn)

    def backlog(self) -> float:
        """Seconds that a bulk call which comes now would have to wait."""
        try:
            return max(self._scripts.both(self._bucket.waiting(), self._breaker.resting()))
        except Away:
            return max(self._alone.backlog(), self._breaker_alone.rest())

    def rest(self) -> float:
        """Seconds for which the breaker lets nothing through; 0.0 where it is closed."""
        rest = self._first(self._breakers, lambda breaker: breaker.rest())
        metrics.BREAKER_OPEN.set(rest > 0)
        return rest

    def limits(self) -> dict[str, float]:
        """What is known of the endpoint's limits, by their names; 0 where there is none."""
        known = self._alone.limits
        return {"requests_per_minute": known.requests, "tokens_per_minute": known.tokens}

    def share_with(self, workers: int) -> None:
        """How many workers there are, this one included: what it may take of the limits without Redis."""
        self._alone.workers = max(1, workers)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._scripts.close()

    def _wait(self, tokens: int, *, bulk: bool) -> Pass:
        end, placed = time.monotonic() + NAP, False
        while True:
            wait, leave = self._ask(tokens, bulk=bulk, placed=placed)
            if not wait:
                return leave
            if leave.probe:
                self._first(self._breakers, lambda breaker: breaker.release())
            if time.monotonic() + wait > end:
                raise Busy(_limited(wait))
            time.sleep(wait)
            placed = True

    def _ask(self, tokens: int, *, bulk: bool, placed: bool) -> tuple[float, Pass]:
        """Seconds to wait for the bucket; if there are none, what the breaker says."""
        if (blocked := self._alone.blocked) > 0:  # said to this process: holds whatever became of Redis
            return blocked, CLOSED
        try:
            return self._scripts.both(
                self._bucket.taking(tokens, bulk=bulk, placed=placed),
                self._breaker.asking(self._probe_seconds),
            )
        except Away:
            wait = self._alone.take(tokens, bulk=bulk, placed=placed)
            return wait, CLOSED if wait else self._breaker_alone.ask(self._probe_seconds)

    def _end(self, turn: Turn) -> None:
        if turn.signals is not None:
            self._tell(turn, turn.signals)
            return
        if turn.probe:
            self._first(self._breakers, lambda breaker: breaker.release())
        if not turn.left:
            self._first(self._buckets, lambda bucket: bucket.give_back(turn.tokens))

    def _tell(self, turn: Turn, signals: Signals) -> None:
        """Tell what came of a call. Both buckets learn of it, so that the one can stand in for the other."""
        told: dict[str, bool] = {"failed": signals.failed, "probe": turn.probe}
        if signals.status is None:
            turned = self._first(self._breakers, lambda breaker: breaker.tell(**told))
        else:
            jitter = random.random()  # noqa: S311  (no secret hangs on it)
            self._alone.settle(turn.tokens, turn.used, signals, jitter)
            settling = self._bucket.settling(turn.tokens, turn.used, signals, jitter)
            try:
                _, turned = self._scripts.both(settling, self._breaker.telling(**told))
            except Away:
                turned = self._breaker_alone.tell(**told)
        if signals.limited:
            log.warning("endpoint_limited", status=signals.status, seconds=round(self._alone.blocked, 3))
        if turned == "opened":
            log.error("breaker_opened", seconds=round(self.rest(), 1))
        elif turned == "closed":
            log.info("breaker_closed")

    def _first(self, pair: tuple[T, T], do: Callable[[T], U]) -> U:
        """Do it in Redis, or alone while Redis is away."""
        shared, alone = pair
        try:
            return do(shared)
        except Away:
            return do(alone)


def credential(settings: Settings) -> str:
    """A name for base URL and key, from which neither can be had back."""
    secret = f"{settings.openai_base_url}\0{settings.openai_api_key}".encode()
    return hashlib.sha256(secret).hexdigest()[:16]


def _limited(seconds: float) -> VitrineError:
    return RateLimitExceeded("The endpoint's rate limit is reached.", retry_after=seconds)


def _resting(seconds: float) -> VitrineError:
    return ModelOverloaded("Too many calls to the endpoint failed: it is left alone.", retry_after=seconds)

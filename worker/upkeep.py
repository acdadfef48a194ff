"""What some worker must do every few seconds: sweep, report that it lives, look at the endpoint, tidy up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from core.desk import Desk
from core.leader import Leader
from core.queue import INTERACTIVE
from core.services import dispatching, files, fleet, idempotency, outcomes, retention, sessions
from core.services.dispatching import Pace, Seen
from core.services.embedding_indexes import EmbeddingIndexes
from worker.throttle import Throttle
from worker.timetable import Timetable, done, for_a_while, only_if
from worker.vision import Vision
from worker.vision_errors import CallFailed

SWEEP_SECONDS = 5.0
REPORT_SECONDS = 5.0
PING_SECONDS = 30.0
SESSIONS_SECONDS = 10.0
"""What belonged to a session that is gone is not to be seen for long."""
TIDY_SECONDS = 300.0
TIDY_AT_MOST = 1.0
"""Seconds for each part of it: reports that the worker lives come from the same thread."""
INDEX_SECONDS = 300.0
DISPATCH_SECONDS = 0.25
MOVE_SECONDS = 0.5
LONGEST_BACKLOG = 4.0
"""Seconds of calls that wait for the throttle; no bell is rung for more."""

log = structlog.get_logger(__name__)


class Upkeep:
    """The chores of one worker process; the leader's have a thread of their own, which no ping delays."""

    def __init__(self, desk: Desk, vision: Vision, throttle: Throttle, name: str) -> None:
        self._desk = desk
        self._vision = vision
        self._throttle = throttle
        self._name = name
        self._endpoint: dict[str, Any] = {"ok": None, "latency_ms": None, "error": "not looked at yet"}
        self._seen: Seen | None = None
        """What there was to do when the dispatcher looked last; None where another leads."""
        self._pace = Pace()
        self._dispatched = time.monotonic()
        self._leader = Leader(desk.database, "upkeep")
        self._indexes = EmbeddingIndexes(desk)
        self._timetables = [
            Timetable(
                "dispatch",
                [
                    (DISPATCH_SECONDS, self._dispatch),
                    (MOVE_SECONDS, self._move_on),
                    (SWEEP_SECONDS, only_if(self._leader.leads, self._sweep)),
                ],
            ),
            Timetable(
                "upkeep",
                [
                    (PING_SECONDS, self._ping),
                    (REPORT_SECONDS, self._report),
                    (SESSIONS_SECONDS, only_if(self._leader.led, self._forget_sessions)),
                    (TIDY_SECONDS, self._tidy),
                ],
            ),
            # By itself: an index may take minutes.
            Timetable("indexes", [(INDEX_SECONDS, only_if(self._leader.led, self._index))]),
        ]

    def close(self) -> None:
        """Finish the chores in hand, but for an index that is being made, and say good-bye."""
        done(self._indexes.stop)
        for timetable in self._timetables:
            timetable.close()
        self._leader.resign()
        done(lambda: fleet.leave(self._desk, self._name))

    def _dispatch(self) -> None:
        self._seen = self._leader.ask(dispatching.look)
        if not self._seen or not self._seen.any_runs:
            self._pace = Pace()  # the next batch finds every worker free
            return
        if self._throttle.backlog() > LONGEST_BACKLOG:
            return  # slots would only prepare what the endpoint has no room for
        now = time.monotonic()
        dispatching.turn(self._desk, self._pace, now - self._dispatched)
        self._dispatched = now

    def _move_on(self) -> None:
        if self._seen and self._seen.any_open:
            dispatching.move_on(self._desk)

    def _sweep(self) -> None:
        rung = outcomes.sweep(self._desk, bells_waiting=self._desk.doorbell.waiting(INTERACTIVE))
        if rung:
            log.info("rang_again", analyses=len(rung))

    def _report(self) -> None:
        slots = self._desk.settings.worker_concurrency
        endpoint = self._endpoint | self._throttle.limits() | {"rest": round(self._throttle.rest(), 1)}
        others = fleet.report(self._desk, self._name, slots=slots, endpoint=endpoint)
        self._throttle.share_with(1 + others)

    def _ping(self) -> None:
        try:
            seconds = self._vision.ping()
        except CallFailed as failure:
            self._endpoint = {"ok": False, "latency_ms": None, "error": failure.error.message}
        else:
            self._endpoint = {"ok": True, "latency_ms": round(seconds * 1000, 1), "error": None}

    def _index(self) -> None:
        self._indexes.keep_up(log.info)

    def _forget_sessions(self) -> None:
        if sessions.any_gone(self._desk):
            self._do_for_a_while(sessions.hide_unused)
            self._do_for_a_while(sessions.forget)

    def _do_for_a_while(self, chore: Callable[[Desk], int]) -> None:
        for_a_while(partial(chore, self._desk), TIDY_AT_MOST)

    def _tidy(self) -> None:
        for chore in (
            files.expire,
            retention.forget_analyses,
            retention.hide_batches,
            retention.forget_items,
            files.collect_abandoned,
        ):
            self._do_for_a_while(chore)
        idempotency.forget_old(self._desk)
        fleet.forget(self._desk, timedelta(days=1))

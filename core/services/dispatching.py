"""Keeps a short window of bells for items in Redis, and moves batches on when their items are done.

Run several times a second by whichever worker leads. Everything is decided from rows, so pausing,
cancelling and priorities count from the moment they are committed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from sqlalchemy import func
from sqlalchemy.orm import Session

from core import metrics
from core.desk import Desk
from core.models import Analysis, Batch
from core.queue import BULK, Task
from core.services import reuse
from core.services.fleet import SEEN_WITHIN
from core.states import AnalysisState, BatchState
from core.store import batches, dispatch, workers

WINDOW_SECONDS = 0.4
"""Work that lies in Redis: new batches wait behind it, so it is no longer than keeps workers busy."""
LEAST_WINDOW = 16
MOST_WINDOW = 4_000
LOST_AFTER = 5.0
"""Seconds after which a bell that was not answered is rung again, whatever lies in Redis."""
CANCEL_AT_ONCE = 5_000
SETTLE_AT_ONCE = 500
"""Items that are looked through for answers by one transaction, where those before had some."""
TURN_SECONDS = 0.2
"""For answering what needs no bell: other chores of the leader wait as long."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pace:
    """How fast bells are heard; what a dispatcher remembers between its turns."""

    waiting: int = 0
    """Bells in the queue after the last turn."""
    per_second: float = 0.0

    def heard(self, waiting: int, seconds: float) -> None:
        """Note how many bells still wait after so many seconds."""
        rate = max(0, self.waiting - waiting) / max(seconds, 0.05)
        self.per_second = max(rate, 0.7 * self.per_second)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was rung for lately, so that every worker is free."""
        return self.per_second < 1

    def room(self, waiting: int, least: int = LEAST_WINDOW) -> int:
        """How many bells may be rung; the window grows as fast as bells are heard."""
        window = max(LEAST_WINDOW, least, int(self.per_second * WINDOW_SECONDS))
        return max(0, min(window, MOST_WINDOW) - waiting)


def is_needed(desk: Desk) -> bool:
    """Whether any batch runs: if none does, there is nothing to ring for."""
    with desk.database.driver() as driver:
        return dispatch.any_runs(driver)


def turn(desk: Desk, pace: Pace, seconds: float) -> int:
    """One turn, `seconds` after the last: ring for the next items; how many."""
    waiting = desk.doorbell.waiting(BULK)
    if waiting is None:
        return 0
    pace.heard(waiting, seconds)
    with desk.database.driver() as driver:
        dispatch.forget_lost_bells(driver, LOST_AFTER)
    room = pace.room(waiting, _slots(desk) if pace.is_idle else 0)
    rung = _ring(desk, room) if room else 0
    pace.waiting = waiting + rung
    return rung


def _slots(desk: Desk) -> int:
    with desk.database.transaction() as session:
        return workers.slots(session, SEEN_WITHIN)


def _ring(desk: Desk, room: int) -> int:
    """Ring for the next items until there is no room, or time is up; how many.

    What has been asked before needs no bell, and is passed over by the hundred.
    """
    rung, size, end = 0, room, time.monotonic() + TURN_SECONDS
    while size:
        with desk.database.transaction() as session:
            picked = dispatch.pick(session, size)
            settled = reuse.settle(desk, session, [item.id for item in picked if item.has_fingerprint])
            fresh = [item for item in picked if item.id not in settled][: room - rung]
            ids = dispatch.mark(session, [item.id for item in fresh]) if fresh else []
            taken = settled.union(ids)
            if tags := [item.tag for item in picked if item.id in taken]:
                dispatch.advance(session, max(tags))
        desk.doorbell.ring(Task.ANALYZE, ids, BULK)
        rung += len(ids)
        size = SETTLE_AT_ONCE if settled and rung < room and time.monotonic() < end else 0
    return rung


def move_on(desk: Desk) -> None:
    """Cancel what is to be cancelled; move batches whose items or pilot are done, or that can be paid."""
    with desk.database.driver() as driver:
        if not dispatch.ready(driver):
            return
    with desk.database.transaction() as session:
        _move_on(desk, session)


def _move_on(desk: Desk, session: Session) -> None:
    cancelled = dispatch.cancel_some(session, CANCEL_AT_ONCE)
    if cancelled:
        metrics.ended_after_commit(session, AnalysisState.CANCELLED, count=len(cancelled))
    told = set(cancelled)
    done = ~batches.open_items()
    late = Batch.deadline_at <= func.now()
    piloted = ~batches.open_items(Analysis.position < Batch.dispatch_limit)
    moved = [
        *batches.release(session),
        *batches.move(session, BatchState.CANCELLED, done),
        *batches.move(session, BatchState.EXPIRED, done, late, batches.items_in(AnalysisState.EXPIRED)),
        *batches.move(session, BatchState.COMPLETED, done),
        *batches.move(
            session, BatchState.PAUSED, Batch.dispatch_limit.is_not(None), piloted, reason="pilot done"
        ),
    ]
    for batch in moved:
        log.info("batch_moved", batch_id=batch.id, state=batch.state)
        told.add(batch.id)
    for batch_id in told:
        desk.events.tell_after_commit(session, batch_id, "moved")

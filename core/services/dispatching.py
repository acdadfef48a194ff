"""Keeps a short window of bells for items in Redis, and moves batches on when their items are done.

Run several times a second by whichever worker leads. Everything is decided from rows, so pausing,
cancelling and priorities count from the moment they are committed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

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
from core.store import batch_items, batches, dispatch, workers
from core.store.dispatch import Picked

WINDOW_SECONDS = 0.4
"""Work that lies in Redis: new batches wait behind it, so it is no longer than keeps workers busy."""
LEAST_WINDOW = 16
MOST_WINDOW = 4_000
LOST_AFTER = timedelta(seconds=5)
"""After which a bell that was not answered is rung again, whatever lies in Redis."""
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


Seen = dispatch.Seen
look = dispatch.look


def turn(desk: Desk, pace: Pace, seconds: float) -> int:
    """One turn, `seconds` after the last: ring for the next items; how many."""
    waiting = desk.doorbell.waiting(BULK)
    if waiting is None:
        return 0
    pace.heard(waiting, seconds)
    room = pace.room(waiting, _slots(desk) if pace.is_idle else 0)
    rung = _ring(desk, room) if room else 0
    pace.waiting = waiting + rung
    return rung


def _slots(desk: Desk) -> int:
    with desk.database.driver() as driver:
        return workers.slots(driver, SEEN_WITHIN)


def _ring(desk: Desk, room: int) -> int:
    """Ring for the next items until there is no room, or time is up; how many.

    What has been asked before needs no bell, and is passed over by the hundred.
    """
    rung, size, end = 0, room, time.monotonic() + TURN_SECONDS
    while size:
        with desk.database.driver() as driver:
            picked = dispatch.pick(driver, size, LOST_AFTER)
        settled = _settle(desk, [item.id for item in picked if item.may_be_settled])
        fresh = [item for item in picked if item.id not in settled][: room - rung]
        tags = [item.tag for item in picked if item.id in settled] + [item.tag for item in fresh]
        rung += _ring_for(desk, fresh, max(tags)) if tags else 0
        size = SETTLE_AT_ONCE if settled and rung < room and time.monotonic() < end else 0
    return rung


def _settle(desk: Desk, ids: Sequence[str]) -> set[str]:
    if not ids:
        return set()
    with desk.database.transaction() as session:
        return reuse.settle(desk, session, ids)


def _ring_for(desk: Desk, items: Sequence[Picked], furthest: int) -> int:
    """Ring for items whose turn came, the last at that virtual time; for how many."""
    with desk.database.driver() as driver:
        ids = dispatch.mark(driver, [item.id for item in items], furthest)
    desk.doorbell.ring(Task.ANALYZE, ids, BULK)
    return len(ids)


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
    done = ~batch_items.any_open()
    late = Batch.deadline_at <= func.now()
    piloted = ~batch_items.any_open(Analysis.position < Batch.dispatch_limit)
    moved = [
        *batches.release(session),
        *batches.move(session, BatchState.CANCELLED, done),
        *batches.move(session, BatchState.EXPIRED, done, late, batch_items.any_in(AnalysisState.EXPIRED)),
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

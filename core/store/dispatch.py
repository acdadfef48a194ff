"""What the dispatcher reads and marks several times a second; statements without entities, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from psycopg.rows import class_row, scalar_row
from sqlalchemy import Integer, Interval, Text, and_, bindparam, exists, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.db import Driver
from core.models import Analysis, Base, Batch
from core.prepared import NOTHING, Prepared
from core.states import AnalysisState, BatchState
from core.store import analyses
from core.store.batch_items import any_open
from core.store.budgets import room_for_waiting, waits_in_vain
from core.store.flights import TELLING, may_be_settled
from core.store.words import said

ANALYSES, DISPATCH = (Base.metadata.tables[name] for name in ("analyses", "dispatch"))
WAITING = and_(Analysis.batch_id.is_not(None), Analysis.state == said(AnalysisState.QUEUED))
MOST = bindparam("most", type_=Integer)

UNHEARD = or_(
    ANALYSES.c.rung_at.is_(None), ANALYSES.c.rung_at < func.now() - bindparam("lost_after", type_=Interval)
)
"""No bell was rung for it, or one that was lost."""
HEAD = (
    select(*(ANALYSES.c[name] for name in ("id", "position", *TELLING)))
    .where(
        ANALYSES.c.batch_id == Batch.id,
        ANALYSES.c.state == said(AnalysisState.QUEUED),
        UNHEARD,
        ANALYSES.c.next_attempt_at <= func.now(),
        ANALYSES.c.position < func.coalesce(Batch.dispatch_limit, Batch.total),
    )
    .order_by(ANALYSES.c.position)
    .limit(MOST)
    .lateral()
)
"""The first waiting items of a batch."""
TAG = (Batch.start_tag + HEAD.c.position).label("tag")
TURN = (
    select(*(HEAD.c[name] for name in ("id", *TELLING)), Batch.priority, TAG)
    .select_from(Batch)
    .join(HEAD, true())
    .where(Batch.finished_at.is_(None), Batch.state == said(BatchState.RUNNING))
    .where(Batch.needed_tokens.is_(None))
    .order_by(Batch.priority, TAG)
    .limit(MOST)
    .cte("turn")
)
"""The next of all of them."""
PICK = Prepared(
    select(TURN.c.id, may_be_settled(TURN).label("may_be_settled"), TURN.c.tag).order_by(
        TURN.c.priority, TURN.c.tag
    )
)
ADVANCED = (
    update(DISPATCH)
    .values(
        virtual_time=func.greatest(
            DISPATCH.c.virtual_time, bindparam("furthest", type_=DISPATCH.c.virtual_time.type)
        )
    )
    .cte("advanced")
)
MARK = Prepared(
    update(ANALYSES)
    .where(analyses.free(WAITING, Analysis.id == func.any(bindparam("ids", type_=ARRAY(Text)))))
    .values(rung_at=func.now())
    .returning(ANALYSES.c.id)
    .add_cte(ADVANCED)
)
SILENCE = (
    update(ANALYSES)
    .where(analyses.free(WAITING, Analysis.batch_id == bindparam("of"), Analysis.rung_at.is_not(None)))
    .values(rung_at=None)
)
IS_OPEN = Batch.finished_at.is_(None)
LOOK = Prepared(
    select(
        exists().where(IS_OPEN, Batch.state == said(BatchState.RUNNING)).label("any_runs"),
        exists().where(IS_OPEN).label("any_open"),
    )
)
READY = Prepared(
    select(
        exists().where(
            Batch.finished_at.is_(None),
            or_(
                Batch.state == said(BatchState.CANCELLING),
                ~any_open(),
                room_for_waiting(),
                and_(Batch.state == said(BatchState.RUNNING), waits_in_vain()),
                and_(Batch.dispatch_limit.is_not(None), ~any_open(Analysis.position < Batch.dispatch_limit)),
            ),
        )
    )
)


def silence(session: Session, batch_id: str) -> None:
    """Forget the bells of a batch's waiting items: they will be refused, or are to be rung anew."""
    session.execute(SILENCE, {"of": batch_id})


@dataclass(frozen=True, slots=True)
class Picked:
    """An item whose turn it is."""

    id: str
    may_be_settled: bool
    """Whether what it asks is answered already, or being asked by another: then it needs no bell."""
    tag: int
    """Its virtual start."""


def pick(driver: Driver, limit: int, lost_after: timedelta) -> list[Picked]:
    """The next items in (priority, virtual start) order, those too whose bell was rung so long ago."""
    return PICK.all(driver, {"most": limit, "lost_after": lost_after}, class_row(Picked))


def mark(driver: Driver, ids: Sequence[str], furthest: int) -> list[str]:
    """Note that items are rung for: those that nobody holds just now. Virtual time moves on to `furthest`."""
    rung = set(MARK.all(driver, {"ids": list(ids), "furthest": furthest}, scalar_row))
    return [analysis_id for analysis_id in ids if analysis_id in rung]


@dataclass(frozen=True, slots=True)
class Seen:
    """What there may be to do for batches."""

    any_runs: bool
    """Whether there is one whose items may be rung for."""
    any_open: bool
    """Whether there is one that may be moved on."""


def look(driver: Driver) -> Seen:
    """What there may be to do: asked several times a second, mostly in vain."""
    return Seen(*LOOK.one(driver, NOTHING))


def ready(driver: Driver) -> bool:
    """Whether there may be a batch to be moved on."""
    return READY.holds(driver)


def cancel_some(session: Session, limit: int) -> list[str]:
    """Cancel some waiting items of batches that are being cancelled; the batch of each of them."""
    ending = exists().where(Batch.id == Analysis.batch_id, Batch.state == BatchState.CANCELLING)
    doomed = analyses.free(ending, Analysis.state == AnalysisState.QUEUED, limit=limit)
    moved = analyses.move(session, AnalysisState.CANCELLED, doomed, reason="its batch was cancelled")
    return [row.batch_id for row in moved if row.batch_id]

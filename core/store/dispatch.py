"""What the dispatcher reads and marks several times a second; statements without entities, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Integer, Interval, and_, bindparam, exists, func, or_, select, true, update
from sqlalchemy.orm import Session

from core.db import Driver
from core.models import Analysis, Base, Batch
from core.prepared import Prepared
from core.states import AnalysisState, BatchState
from core.store import analyses
from core.store.batches import open_items
from core.store.budgets import room_for_waiting, waits_in_vain
from core.store.words import said

ANALYSES, DISPATCH = (Base.metadata.tables[name] for name in ("analyses", "dispatch"))
WAITING = and_(Analysis.batch_id.is_not(None), Analysis.state == said(AnalysisState.QUEUED))
MOST = bindparam("most", type_=Integer)

HEAD = (
    select(Analysis.id, Analysis.position, Analysis.fingerprint.is_not(None).label("has_fingerprint"))
    .where(
        Analysis.batch_id == Batch.id,
        Analysis.state == said(AnalysisState.QUEUED),
        Analysis.rung_at.is_(None),
        Analysis.next_attempt_at <= func.now(),
        Analysis.position < func.coalesce(Batch.dispatch_limit, Batch.total),
    )
    .order_by(Analysis.position)
    .limit(MOST)
    .lateral()
)
"""The first waiting items of a batch."""
TAG = (Batch.start_tag + HEAD.c.position).label("tag")
PICK = (
    select(HEAD.c.id, HEAD.c.has_fingerprint, TAG)
    .select_from(Batch)
    .join(HEAD, true())
    .where(Batch.state == said(BatchState.RUNNING), Batch.needed_tokens.is_(None))
    .order_by(Batch.priority, TAG)
    .limit(MOST)
)
MARK = (
    update(ANALYSES)
    .where(analyses.free(WAITING, Analysis.id == func.any(bindparam("ids"))))
    .values(rung_at=func.now())
    .returning(ANALYSES.c.id)
)
ADVANCE = update(DISPATCH).values(
    virtual_time=func.greatest(
        DISPATCH.c.virtual_time, bindparam("furthest", type_=DISPATCH.c.virtual_time.type)
    )
)
LONG_AGO = func.now() - bindparam("age", type_=Interval)
FORGET = Prepared(
    update(ANALYSES).where(analyses.free(WAITING, Analysis.rung_at < LONG_AGO)).values(rung_at=None)
)
SILENCE = (
    update(ANALYSES)
    .where(analyses.free(WAITING, Analysis.batch_id == bindparam("of"), Analysis.rung_at.is_not(None)))
    .values(rung_at=None)
)
ANY_RUNS = Prepared(
    select(exists().where(Batch.finished_at.is_(None), Batch.state == said(BatchState.RUNNING)))
)
READY = Prepared(
    select(
        exists().where(
            Batch.finished_at.is_(None),
            or_(
                Batch.state == said(BatchState.CANCELLING),
                ~open_items(),
                room_for_waiting(),
                and_(Batch.state == said(BatchState.RUNNING), waits_in_vain()),
                and_(
                    Batch.dispatch_limit.is_not(None), ~open_items(Analysis.position < Batch.dispatch_limit)
                ),
            ),
        )
    )
)


def silence(session: Session, batch_id: str) -> None:
    """Forget the bells of a batch's waiting items: they will be refused, or are to be rung anew."""
    session.execute(SILENCE, {"of": batch_id})


def forget_lost_bells(driver: Driver, seconds: float) -> None:
    """Forget bells of items that were rung longer ago than that and are still waiting."""
    FORGET.do(driver, {"age": timedelta(seconds=seconds)})


@dataclass(frozen=True, slots=True)
class Picked:
    """An item whose turn it is."""

    id: str
    has_fingerprint: bool
    tag: int
    """Its virtual start."""


def pick(session: Session, limit: int) -> list[Picked]:
    """The next items in (priority, virtual start) order."""
    return [Picked(*row) for row in session.execute(PICK, {"most": limit})] if limit else []


def mark(session: Session, ids: Sequence[str]) -> list[str]:
    """Note that items are rung for; those that nobody holds just now."""
    rung = set(session.scalars(MARK, {"ids": list(ids)}))
    return [analysis_id for analysis_id in ids if analysis_id in rung]


def advance(session: Session, furthest: int) -> None:
    """Let virtual time move on to that of an item whose turn came."""
    session.execute(ADVANCE, {"furthest": furthest})


def any_runs(driver: Driver) -> bool:
    """Whether there is a batch whose items may be rung for."""
    [found] = ANY_RUNS.one(driver, {})
    return bool(found)


def ready(driver: Driver) -> bool:
    """Whether there may be a batch to be moved on."""
    [found] = READY.one(driver, {})
    return bool(found)


def cancel_some(session: Session, limit: int) -> list[str]:
    """Cancel some waiting items of batches that are being cancelled; the batch of each of them."""
    ending = exists().where(Batch.id == Analysis.batch_id, Batch.state == BatchState.CANCELLING)
    doomed = analyses.free(ending, Analysis.state == AnalysisState.QUEUED, limit=limit)
    moved = analyses.move(session, AnalysisState.CANCELLED, doomed, reason="its batch was cancelled")
    return [row.batch_id for row in moved if row.batch_id]

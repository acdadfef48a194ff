"""Analyses: guarded moves, claims, sweeps and listings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.rows import class_row, scalar_row
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Interval,
    Select,
    and_,
    any_,
    bindparam,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from core.db import Driver
from core.errors import NotFound, WrongState
from core.models import Analysis, AnalysisImage, Base, Batch, Call
from core.models.usage import UsageColumns
from core.prepared import Prepared
from core.states import ANALYSIS_MOVES, FINAL, AnalysisState, sources
from core.store import outbox
from core.store.words import one_of, said

CURRENT_XID: ColumnElement[int] = literal_column("pg_current_xact_id()::text::bigint", BigInteger)
"""The 64-bit number of this transaction."""
USAGE = tuple(UsageColumns.__annotations__)
"""The columns that an analysis sums over its calls."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an analysis stands, for a client that waits for what the endpoint says."""

    id: str
    state: AnalysisState
    preset: str
    reason: str | None
    error_code: str | None
    error_message: str | None
    reply: Any
    cached_from: str | None


ROWS = Base.metadata.tables["analyses"]
THIS = and_(ROWS.c.account_id == bindparam("of_account"), ROWS.c.id == bindparam("this_id"))
STATE = Prepared(select(ROWS.c.state).where(THIS))
IS_OPEN = one_of(Analysis.state, (AnalysisState.QUEUED, AnalysisState.RUNNING))
DEAD = and_(Analysis.state == said(AnalysisState.RUNNING), Analysis.lease_until < func.now())
"""Its worker is gone."""
OVERDUE = and_(IS_OPEN, Analysis.batch_id.is_(None), Analysis.deadline_at <= func.now())
OVERDUE_BATCH = and_(Batch.finished_at.is_(None), Batch.deadline_at <= func.now())
UNRUNG = and_(
    Analysis.batch_id.is_(None),  # items of batches are the dispatcher's
    Analysis.state == said(AnalysisState.QUEUED),
    Analysis.next_attempt_at <= func.now(),
    or_(Analysis.rung_at.is_(None), Analysis.rung_at < func.now() - bindparam("stale", type_=Interval)),
)
"""It is due, and no bell was rung for it, or none for as long as `stale`."""
LOCK = select(ROWS.c.id).where(ROWS.c.id == bindparam("this_id")).with_for_update()
STANDING = Prepared(select(*(ROWS.c[name] for name in Standing.__slots__)).where(THIS))


def with_images() -> ORMOption:
    """Load the images and their files too: two queries, however many rows."""
    return selectinload(Analysis.images).joinedload(AnalysisImage.file)


def owned(session: Session, account_id: str, analysis_id: str) -> Analysis:
    """An analysis of the account with its images. Raises NotFound, also for another account's."""
    query = select(Analysis).where(Analysis.account_id == account_id, Analysis.id == analysis_id)
    found = session.scalars(query.options(with_images())).one_or_none()
    if found is None:
        raise NotFound(f"There is no analysis {analysis_id!r}.")
    return found


def page(
    session: Session, account_id: str, *, before: str | None, limit: int, filters: Mapping[str, Any]
) -> list[Analysis]:
    """Up to `limit` analyses of the account, the newest first, all of them older than the id `before`."""
    query = select(Analysis).where(Analysis.account_id == account_id).filter_by(**filters)
    if before is not None:
        query = query.where(Analysis.id < before)
    return list(session.scalars(query.order_by(Analysis.id.desc()).limit(limit).options(with_images())))


def remove(session: Session, analysis_id: str) -> None:
    """Remove a final analysis and its images; its calls stay in the books. Raises WrongState."""
    removed = session.execute(
        delete(Analysis).where(Analysis.id == analysis_id, Analysis.state.in_(FINAL)).returning(Analysis.id)
    ).scalar_one_or_none()
    if removed is None:
        state = session.scalar(select(Analysis.state).where(Analysis.id == analysis_id))
        raise WrongState(f"It is {state}: cancel it first.")


def remove_some(session: Session, ids: Select[str]) -> tuple[list[str], list[str]]:
    """Remove the analyses that a query names and nobody holds: which, and the files that they used."""
    held = list(session.scalars(ids.with_for_update(of=Analysis, skip_locked=True)))
    of_theirs = AnalysisImage.analysis_id.in_(held)
    files = select(AnalysisImage.file_id).where(of_theirs, AnalysisImage.file_id.is_not(None))
    used = [file_id for file_id in session.scalars(files.distinct()) if file_id]
    gone = delete(Analysis).where(Analysis.id.in_(held))
    session.execute(gone.execution_options(synchronize_session=False))
    return held, used


def finished_before(age: timedelta, limit: int) -> Select[str]:
    """Some of the analyses, items of batches left aside, that have been final for longer than that."""
    old = (Analysis.batch_id.is_(None), Analysis.finished_at < func.now() - age, Analysis.state.in_(FINAL))
    return select(Analysis.id).where(*old).order_by(Analysis.finished_at).limit(limit)


def lock(session: Session, analysis_id: str) -> None:
    """Hold the row until the commit, where it is still there."""
    session.execute(LOCK, {"this_id": analysis_id})


def may_become(to: AnalysisState) -> ColumnElement[bool]:
    """The guard of every move."""
    return one_of(Analysis.state, sources(ANALYSIS_MOVES, to))


def becoming(to: AnalysisState) -> dict[str, Any]:
    """What every move to a state sets."""
    final = {
        "finished_at": func.now(),
        "finish_xid": CURRENT_XID,
        "lease_until": null(),
        "follows": null(),
    }
    return {"state": said(to), **(final if to in FINAL else {})}


def free(*where: ColumnElement[bool], limit: int | None = None) -> ColumnElement[bool]:
    """Rows that nobody holds: who changes many is neither waited for by another who does, nor waits."""
    return Analysis.id.in_(select(Analysis.id).where(*where).limit(limit).with_for_update(skip_locked=True))


def in_order(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Rows locked in the order of their ids: who may pass over none cannot meet another in a deadlock."""
    return Analysis.id.in_(select(Analysis.id).where(*where).order_by(Analysis.id).with_for_update())


def move(session: Session, to: AnalysisState, *where: ColumnElement[bool], **values: Any) -> list[Analysis]:
    """Move every matching row whose state allows it, in one UPDATE; the rows that moved.

    Whoever wants to be told that they are final is told.
    """
    moved = list(
        session.scalars(
            update(Analysis)
            .where(may_become(to), *where)
            .values(becoming(to) | values)
            .returning(Analysis)
            .execution_options(populate_existing=True)
        )
    )
    if moved and to in FINAL:
        outbox.tell_analyses(session, [row.id for row in moved])
    return moved


def move_one(
    session: Session, analysis_id: str, to: AnalysisState, *where: ColumnElement[bool], **values: Any
) -> Analysis:
    """Move one row. Raises WrongState where its state, or the other conditions, do not allow it."""
    moved = move(session, to, Analysis.id == analysis_id, *where, **values)
    if not moved:
        raise WrongState(f"Analysis {analysis_id} cannot become {to} from where it stands.")
    return moved[0]


def escalate(session: Session, analysis_id: str, fence: int, why: str) -> bool:
    """Give a claimed analysis to the stronger model of its cascade; False where the claim is lost."""
    held = (Analysis.id == analysis_id, Analysis.fence == fence, Analysis.state == AnalysisState.RUNNING)
    values = {
        "model": Analysis.stronger_model,
        "first_model": func.coalesce(Analysis.first_model, Analysis.model),  # to be told twice is harmless
        "first_cost": func.coalesce(Analysis.first_cost, Analysis.prompt_cost + Analysis.completion_cost),
        "escalation": why,
    }
    moved = update(Analysis).where(*held).values(values).returning(Analysis.id)
    return session.scalar(moved.execution_options(synchronize_session=False)) is not None


def keep_text(session: Session, analysis_id: str, text: str | None) -> None:
    """Keep what was received for an analysis that was final before; one that has an answer keeps that."""
    kept = update(Analysis).where(
        Analysis.id == analysis_id, Analysis.state.in_(FINAL), Analysis.answer.is_(None)
    )
    session.execute(kept.values(answer=text).execution_options(synchronize_session=False))


def lapse(session: Session, *, limit: int, error_code: str, error_message: str) -> list[Analysis]:
    """Take back every dead lease: the row waits again, or fails where it outlived `limit` workers."""
    dead = free(DEAD)
    spent = Analysis.lease_expiries + 1
    poison = move(
        session,
        AnalysisState.FAILED,
        dead,
        spent >= limit,
        lease_expiries=spent,
        error_code=error_code,
        error_message=error_message,
    )
    again = move(
        session,
        AnalysisState.QUEUED,
        dead,
        lease_expiries=spent,
        lease_until=None,
        next_attempt_at=func.now(),
        rung_at=None,
        reason="its worker was lost",
    )
    return poison + again


def overdue(limit: int) -> ColumnElement[bool]:
    """Some of the rows that are in no batch and whose deadline has passed."""
    return free(OVERDUE, limit=limit)


def overdue_items(limit: int) -> ColumnElement[bool]:
    """Some of the items whose deadline has passed: that of their batch, and so looked for there."""
    late = select(Batch.id).where(OVERDUE_BATCH)
    return free(IS_OPEN, Analysis.batch_id == any_(func.array(late.scalar_subquery())), limit=limit)


def unrung(session: Session, *, stale: timedelta, limit: int) -> list[str]:
    """Due rows that no bell was rung for, or none for as long as `stale`; marked as rung by this."""
    due = (
        select(Analysis.id)
        .where(UNRUNG)
        .order_by(Analysis.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rung = update(Analysis).where(Analysis.id.in_(due)).values(rung_at=func.now()).returning(Analysis.id)
    return list(session.scalars(rung, {"stale": stale}))


def sum_usage(session: Session, analysis_ids: Sequence[str]) -> None:
    """Bring the usage of these analyses in line with the books."""
    totals = (
        select(Call.analysis_id, *(func.sum(getattr(Call, name)).label(name) for name in USAGE))
        .where(Call.analysis_id.in_(analysis_ids))
        .group_by(Call.analysis_id)
        .subquery()
    )
    session.execute(
        update(Analysis)
        .where(Analysis.id == totals.c.analysis_id)
        .values({name: totals.c[name] for name in USAGE})
        .execution_options(synchronize_session=False)
    )


def state_of(driver: Driver, account_id: str, analysis_id: str) -> str | None:
    """Only the state: what a waiter asks again and again."""
    this = {"of_account": account_id, "this_id": analysis_id}
    return STATE.first(driver, this, scalar_row)


def standing(driver: Driver, account_id: str, analysis_id: str) -> Standing:
    """How an analysis stands. Raises NotFound."""
    this = {"of_account": account_id, "this_id": analysis_id}
    found = STANDING.first(driver, this, class_row(Standing))
    if found is None:
        raise NotFound(f"There is no analysis {analysis_id!r}.")
    return found

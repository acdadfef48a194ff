"""Who asks the very same at the same time: one leads, the others follow.

Of rows with one fingerprint, one at most is running: the unique index `uq_analyses_leading` says so. These
are statements without entities, made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    exists,
    func,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.states import AnalysisState, BatchState
from core.store.reuse import (
    ANALYSES,
    ASKED,
    BATCHES,
    FOLLOWING,
    HELD,
    ONE,
    QUEUED,
    THESE,
    finds,
    is_answered,
)
from core.store.words import said

TELLING = (*ASKED, "is_alone")
"""Columns of a row that say whether another will do for it."""


def is_led(row: FromClause = ANALYSES) -> ColumnElement[bool]:
    """Whether another that asks the very same as a row is running; one that is alone does not care."""
    twin = ANALYSES.alias("twin")
    twins = select(ONE).where(twin.c.fingerprint == row.c.fingerprint, *_leads(twin))
    return and_(~row.c.is_alone, finds(twins.correlate(row)))


def may_be_settled(row: FromClause) -> ColumnElement[bool]:
    """Whether a row, with the columns TELLING, need not be asked: it is answered, or asked by another."""
    return and_(row.c.fingerprint.is_not(None), or_(is_answered(row), is_led(row)))


def _leads(row: Any) -> tuple[ColumnElement[bool], ...]:
    """Whether a row is in the index of those that lead."""
    return row.c.state == said(AnalysisState.RUNNING), row.c.fingerprint.is_not(None), ~row.c.is_alone


def _following() -> Any:
    """Let waiting rows wait for those that ask the same: to their deadline, unless they are let go before.

    Who leads is marked, and so cannot end unseen before its followers are committed.
    """
    mine = (
        select(ANALYSES.c.id, ANALYSES.c.fingerprint)
        .where(THESE, QUEUED, ANALYSES.c.fingerprint.is_not(None), ~ANALYSES.c.is_alone)
        .with_for_update(skip_locked=True)
        .cte("mine")
    )
    leader: Any = ANALYSES.alias("leader")
    leading = (
        select(leader.c.id, leader.c.fingerprint)
        .where(leader.c.fingerprint.in_(select(mine.c.fingerprint)), *_leads(leader))
        .order_by(leader.c.id)
        .with_for_update()
        .cte("leading")
    )
    marked = update(leader).where(leader.c.id == leading.c.id).values(is_followed=true()).cte("marked")
    return (
        update(ANALYSES)
        .where(ANALYSES.c.id == mine.c.id, mine.c.fingerprint == leading.c.fingerprint)
        .values(
            follows=leading.c.id,
            reason=func.concat("waits for ", leading.c.id, ", which asks the same"),
            next_attempt_at=ANALYSES.c.deadline_at,
            rung_at=null(),
        )
        .returning(ANALYSES.c.id)
        .add_cte(marked)
    )


def _letting_go(which: ColumnElement[bool]) -> Any:
    """Let rows wait no longer; their ids, and the batch of each."""
    free = select(ANALYSES.c.id).where(QUEUED, which).with_for_update(skip_locked=True)
    return (
        update(ANALYSES)
        .where(ANALYSES.c.id.in_(free))
        .values(follows=null(), reason=null(), next_attempt_at=func.now(), rung_at=null())
        .returning(ANALYSES.c.id, ANALYSES.c.batch_id)
    )


def _abandoned() -> ColumnElement[bool]:
    """Whether the row that a row follows neither runs nor will run soon."""
    leader = ANALYSES.alias("leader")
    runs = exists(
        select(ONE).where(
            BATCHES.c.id == leader.c.batch_id,
            BATCHES.c.state == said(BatchState.RUNNING),
            BATCHES.c.needed_tokens.is_(None),
        )
    )
    will_run = and_(leader.c.state == said(AnalysisState.QUEUED), or_(leader.c.batch_id.is_(None), runs))
    leads = or_(leader.c.state == said(AnalysisState.RUNNING), will_run)
    return ~exists(select(ONE).where(leader.c.id == ANALYSES.c.follows, leads))


FOLLOW = _following()
DUE = select(ANALYSES.c.id).where(
    ANALYSES.c.id == bindparam("this_id"),
    QUEUED,
    ANALYSES.c.fingerprint.is_not(None),
    ANALYSES.c.next_attempt_at <= func.now(),
)
LET_GO = _letting_go(FOLLOWING)
ABANDONED = and_(QUEUED, ANALYSES.c.follows.is_not(None), _abandoned())
"""It waits in vain."""
LET_GO_ABANDONED = _letting_go(ABANDONED)
NEW_FINGERPRINT = {"fingerprint": bindparam("new_fingerprint", type_=ANALYSES.c.fingerprint.type)}
STEP_BACK = (
    update(ANALYSES)
    .where(HELD)
    .values(NEW_FINGERPRINT)
    .values(state=AnalysisState.QUEUED, lease_until=null(), next_attempt_at=func.now(), rung_at=null())
)
LEADS, LED, ANSWERED = "leads", "led", "answered"
"""How a row stands that has got its fingerprint: it is asked, or another like it is, or was."""


def _identifying() -> Any:
    named = update(ANALYSES).where(HELD).values(NEW_FINGERPRINT)
    named_row = named.returning(*(ANALYSES.c[name] for name in ASKED)).cte("named")
    return select(is_answered(named_row)).select_from(named_row).add_cte(named_row)


IDENTIFY = _identifying()


def follow(session: Session, ids: Sequence[str]) -> set[str]:
    """Let waiting rows wait for running ones that ask the same; those that do now."""
    return set(session.scalars(FOLLOW, {"ids": list(ids)}))


def is_due(session: Session, analysis_id: str) -> bool:
    """Whether a row that others may ask as well waits for nobody."""
    return session.scalar(DUE, {"this_id": analysis_id}) is not None


def let_go(session: Session, ids: Sequence[str], *, alone: bool) -> list[str]:
    """Let the followers of these rows wait no longer; those of them that are no items of batches.

    Where they are to go `alone`, they neither lead nor follow any more.
    """
    statement = LET_GO.values(is_alone=true()) if alone else LET_GO
    return [row.id for row in session.execute(statement, {"ids": list(ids)}) if row.batch_id is None]


def let_abandoned_go(session: Session) -> int:
    """Let rows go whose leader ended unseen, or waits itself with a batch that is held; how many."""
    return len(session.execute(LET_GO_ABANDONED).all())


def identify(connection: Connection, analysis_id: str, fence: int, fingerprint: bytes) -> str | None:
    """Give a claimed row its fingerprint: how it stands then, or None where the claim is lost."""
    values = {"this_id": analysis_id, "held_fence": fence, "new_fingerprint": fingerprint}
    try:
        answered = connection.execute(IDENTIFY, values).scalar_one_or_none()
    except IntegrityError:
        return LED
    return answered if answered is None else ANSWERED if answered else LEADS


def step_back(connection: Connection, analysis_id: str, fence: int, fingerprint: bytes) -> None:
    """Put a claimed row back with its fingerprint, as if it had not been taken."""
    values = {"this_id": analysis_id, "held_fence": fence, "new_fingerprint": fingerprint}
    connection.execute(STEP_BACK, values)

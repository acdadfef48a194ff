"""Batches: their rows, and how these move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, literal, or_, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound, WrongState
from core.models import Analysis, Batch, Dispatch
from core.states import BATCH_MOVES, BatchState, sources
from core.store import budgets, outbox

DONE_TO_IT = {BatchState.RUNNING: "resumed", BatchState.CANCELLING: "cancelled"}
"""What is done to a batch that moves to a state, where that is not called like it."""
FINISHED = frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.CANCELLED, BatchState.EXPIRED})
TOLD = FINISHED | {BatchState.PAUSED}
"""States of which webhooks are told."""
WAITS_FOR_NOTHING: dict[str, Any] = {"needed_cost": None, "needed_tokens": None}
SEEN = Batch.deleted_at.is_(None)


def start_tag(session: Session, account_id: str) -> int:
    """Virtual start of the account's next item: behind its own last one, and never before the present.

    Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), with one step per item.
    """
    own = select(func.max(Batch.start_tag + Batch.total)).where(
        Batch.account_id == account_id, Batch.finished_at.is_(None), Batch.state != BatchState.CANCELLING
    )
    now = select(Dispatch.virtual_time).scalar_subquery()
    return int(
        session.execute(select(func.greatest(now, func.coalesce(own.scalar_subquery(), 0)))).scalar_one()
    )


def add(session: Session, batch: Batch) -> None:
    """Store the row of a batch; one that is over from the start is told."""
    session.add(batch)
    session.flush()
    if batch.state in TOLD:
        outbox.tell_batches(session, [batch.id])


def owned(session: Session, account_id: str, batch_id: str, *, lock: bool = False) -> Batch:
    """A batch of the account, with `lock` held until the commit. Raises NotFound, also for another's."""
    query = select(Batch).where(Batch.account_id == account_id, Batch.id == batch_id, SEEN)
    found = session.scalars(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no batch {batch_id!r}.")
    return found


def page(
    session: Session,
    account_id: str,
    *,
    before: str | None,
    limit: int,
    state: str | None,
    of_lines: bool = False,
) -> list[Batch]:
    """Up to `limit` batches of the account, the newest first, all of them older than the id `before`.

    With `of_lines` only those that the OpenAI API made.
    """
    query = select(Batch).where(Batch.account_id == account_id, SEEN)
    if before is not None:
        query = query.where(Batch.id < before)
    if state is not None:
        query = query.where(Batch.state == state)
    if of_lines:
        query = query.where(Batch.endpoint.is_not(None))
    return list(session.scalars(query.order_by(Batch.id.desc()).limit(limit)))


def move(session: Session, to: BatchState, *where: ColumnElement[bool], **values: Any) -> list[Batch]:
    """Move every matching batch whose state allows it, in one UPDATE; the rows that moved.

    A move ends a wait for budgets, unless it begins one. Whoever wants to be told of it is told.
    """
    values = {"finished_at": func.now() if to in FINISHED else None, **WAITS_FOR_NOTHING, **values}
    moved = list(
        session.scalars(
            update(Batch)
            .where(Batch.state.in_(sources(BATCH_MOVES, to)), *where)
            .values(state=to, **values)
            .returning(Batch)
            .execution_options(populate_existing=True)
        )
    )
    if moved and to in TOLD:
        outbox.tell_batches(session, [row.id for row in moved])
    return moved


def move_one(session: Session, batch_id: str, to: BatchState, **values: Any) -> Batch:
    """Move one batch. Raises WrongState where its state does not allow it."""
    moved = move(session, to, Batch.id == batch_id, **values)
    if not moved:
        state = session.scalar(select(Batch.state).where(Batch.id == batch_id))
        raise WrongState(f"The batch is {state}: it cannot be {DONE_TO_IT.get(to, to)}.")
    return moved[0]


def let_wait(session: Session, batch_id: str, **needed: Any) -> None:
    """Let a running batch wait until its budgets can pay a call of that size."""
    running = (Batch.id == batch_id, Batch.state == BatchState.RUNNING)
    session.execute(update(Batch).where(*running).values(**needed))


def wait_no_longer(session: Session, batch_id: str, reason: str) -> None:
    """Let a batch stand for another reason than its budgets."""
    session.execute(update(Batch).where(Batch.id == batch_id).values(reason=reason, **WAITS_FOR_NOTHING))


def release(session: Session) -> list[Batch]:
    """Let batches go on whose budgets have room again; those that were paused.

    One that runs, and waits in vain for what is set aside, goes on too: its next call is refused for good.
    """
    room, paused = budgets.room_for_waiting(), Batch.state == BatchState.PAUSED
    running = (Batch.state == BatchState.RUNNING, or_(room, budgets.waits_in_vain()))
    go_on = update(Batch).where(*running).values(WAITS_FOR_NOTHING)
    session.execute(go_on.execution_options(synchronize_session=False))
    return move(session, BatchState.RUNNING, paused, room, reason=None)


def remove(session: Session, batch_id: str) -> None:
    """Remove a final batch with its items; their calls stay in the books. Raises WrongState."""
    final = (Batch.id == batch_id, Batch.state.in_(FINISHED))
    if session.scalar(delete(Batch).where(*final).returning(Batch.id)) is None:
        state = session.scalar(select(Batch.state).where(Batch.id == batch_id))
        first = "wait" if state == BatchState.CANCELLING else "cancel it first, and wait"
        raise WrongState(f"The batch is {state}: {first} until it is cancelled, then delete it.")


def hide_finished_before(session: Session, age: timedelta, limit: int) -> int:
    """Let some batches that have been final for longer than that be gone for everyone; how many."""
    old = (Batch.state.in_(FINISHED), Batch.finished_at < func.now() - age, SEEN)
    some = select(Batch.id).where(*old).limit(limit).with_for_update(skip_locked=True, key_share=True)
    hidden = update(Batch).where(Batch.id.in_(some), *old).values(deleted_at=func.now())
    return len(session.scalars(hidden.returning(Batch.id)).all())


def items_of_hidden(limit: int) -> Select[str]:
    """Some items of batches that are gone for everyone."""
    hidden = select(Batch.id).where(Batch.deleted_at.is_not(None))
    return select(Analysis.id).where(Analysis.batch_id.in_(hidden)).limit(limit)


def remove_emptied(session: Session) -> int:
    """Remove the batches that are gone for everyone and have no items left; how many."""
    left = select(literal(1)).where(Analysis.batch_id == Batch.id).correlate(Batch).exists()
    emptied = delete(Batch).where(Batch.deleted_at.is_not(None), ~left)
    return len(session.scalars(emptied.returning(Batch.id)).all())

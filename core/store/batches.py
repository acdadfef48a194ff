"""Batches: rows, counts, items in and out, and what the dispatcher picks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, NotFound, WrongState
from core.models import Analysis, Batch, Dispatch
from core.states import BATCH_MOVES, AnalysisState, BatchState, sources
from core.store import analyses, budgets, outbox
from core.store.analyses import USAGE
from core.store.copying import copy
from core.store.words import one_of

OPEN = (AnalysisState.QUEUED, AnalysisState.RUNNING)
ANSWERED = (AnalysisState.COMPLETED, AnalysisState.FAILED)
DONE_TO_IT = {BatchState.RUNNING: "resumed", BatchState.CANCELLING: "cancelled"}
"""What is done to a batch that moves to a state, where that is not called like it."""
FINISHED = frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.CANCELLED, BatchState.EXPIRED})
TOLD = FINISHED | {BatchState.PAUSED}
"""States of which webhooks are told."""
ITEM_COLUMNS = (
    "id",
    "account_id",
    "key_id",
    "request_id",
    "batch_id",
    "position",
    "custom_id",
    "sku",
    "state",
    "preset",
    "preset_version",
    "preset_id",
    "question",
    "context",
    "preset_options",
    "response_format",
    "require_quality",
    "model",
    "stronger_model",
    "max_tokens",
    "temperature",
    "detail",
    "max_image_tokens",
    "metadata",
    "deadline_at",
    "cache_seconds",
    "fingerprint",
    "reuses_near",
)
OF_QUESTIONS = frozenset(
    {
        "sku",
        "preset_id",
        "preset_options",
        "response_format",
        "require_quality",
        "stronger_model",
        "cache_seconds",
        "fingerprint",
        "max_image_tokens",
        "reuses_near",
    }
)
"""What lines do not have: a chat in a batch is asked as it stands, and every time."""
LINE_COLUMNS = (*(name for name in ITEM_COLUMNS if name not in OF_QUESTIONS), "body")
IMAGE_COLUMNS = ("analysis_id", "position", "file_id", "url", "view")
WAITS_FOR_NOTHING: dict[str, Any] = {"needed_cost": None, "needed_tokens": None}
SPEED_ITEMS = 500
SEEN = Batch.deleted_at.is_(None)
HORIZON = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
"""The oldest transaction that still runs: nothing can turn up below it any more."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a batch has come to: items by state, and what they took."""

    states: dict[str, int]
    taken: Mapping[str, Any]
    """The usage columns, summed; None where no item knows."""
    started_at: datetime | None = None
    """When its first item was begun."""
    cached: int = 0
    """Items that were given an earlier answer."""


class Outcome(NamedTuple):
    """What an item came to, without the rest of its row."""

    id: str
    position: int
    custom_id: str
    request_id: str
    state: str
    reply: Any
    error_code: str | None
    error_message: str | None


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


def copy_items(session: Session, items: Iterable[Sequence[Any]], images: Iterable[Sequence[Any]]) -> None:
    """Store its items (ITEM_COLUMNS) and their images (IMAGE_COLUMNS) by COPY, in this transaction.

    Raises InvalidRequest where a file of theirs is no more.
    """
    copy(session, "analyses", ITEM_COLUMNS, items)
    _copy_images(session, images)


def copy_lines(session: Session, items: Iterable[Sequence[Any]], images: Iterable[Sequence[Any]]) -> None:
    """The same for items that are chats (LINE_COLUMNS)."""
    copy(session, "analyses", LINE_COLUMNS, items)
    _copy_images(session, images)


def _copy_images(session: Session, images: Iterable[Sequence[Any]]) -> None:
    try:
        copy(session, "analysis_images", IMAGE_COLUMNS, images)
    except ForeignKeyViolation as error:
        raise InvalidRequest("A file of this batch was deleted meanwhile.") from error


def as_json(value: Any) -> Any:
    """A value for a JSONB or JSON column of a COPY, which COPY as text does not tell apart."""
    return None if value is None else Jsonb(value)


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


def tallies(session: Session, batch_ids: Sequence[str]) -> dict[str, Tally]:
    """What these batches have come to, in one query."""
    sums = [func.sum(getattr(Analysis, name)).label(name) for name in USAGE]
    begun = func.min(Analysis.started_at).label("started_at")
    counts = func.count().label("items"), func.count(Analysis.cached_from).label("cached")
    query = select(Analysis.batch_id, Analysis.state, *counts, begun, *sums).group_by(
        Analysis.batch_id, Analysis.state
    )
    rows = session.execute(query.where(Analysis.batch_id.in_(batch_ids))).mappings().all()
    return {batch_id: _tally([row for row in rows if row["batch_id"] == batch_id]) for batch_id in batch_ids}


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


def items(
    session: Session,
    batch_id: str,
    *,
    after: int,
    limit: int,
    state: str | None = None,
    sku: str | None = None,
) -> list[Analysis]:
    """Items in input order, behind position `after`, with their images."""
    query = select(Analysis).where(Analysis.batch_id == batch_id, Analysis.position > after)
    if state is not None:
        query = query.where(Analysis.state == state)
    if sku is not None:
        query = query.where(Analysis.sku == sku)
    return list(
        session.scalars(query.order_by(Analysis.position).limit(limit).options(analyses.with_images()))
    )


def first_finished(session: Session, batch_id: str, limit: int) -> list[Analysis]:
    """The first final items in input order, without their images."""
    final = (Analysis.batch_id == batch_id, Analysis.finish_xid.is_not(None))
    return list(session.scalars(select(Analysis).where(*final).order_by(Analysis.position).limit(limit)))


def outcomes(
    session: Session, batch_id: str, states: Collection[AnalysisState], *, after: int, limit: int
) -> Sequence[Outcome]:
    """What items in these states came to, in input order, behind position `after`."""
    query = (
        select(*(getattr(Analysis, name) for name in Outcome._fields))
        .where(Analysis.batch_id == batch_id, Analysis.position > after, Analysis.state.in_(states))
        .order_by(Analysis.position)
        .limit(limit)
    )
    return [Outcome(*row) for row in session.execute(query)]


def finished_after(session: Session, batch_id: str, *, xid: int, position: int, limit: int) -> list[Analysis]:
    """Final items in the order in which they became so, behind a (transaction, position).

    Only transactions below the horizon are read: nothing can turn up behind the reader.
    """
    query = (
        select(Analysis)
        .where(_behind(batch_id, xid, position), Analysis.finish_xid < HORIZON)
        .order_by(Analysis.finish_xid, Analysis.position)
        .limit(limit)
        .options(analyses.with_images())
    )
    return list(session.scalars(query))


def told_until(session: Session, batch_id: str) -> tuple[int, int]:
    """The (transaction, position) of the item that became final last, of those that may be read."""
    latest = (
        select(Analysis.finish_xid, Analysis.position)
        .where(_behind(batch_id, 0, -1), Analysis.finish_xid < HORIZON)
        .order_by(Analysis.finish_xid.desc(), Analysis.position.desc())
        .limit(1)
    )
    found = session.execute(latest).one_or_none()
    return (found.finish_xid, found.position) if found else (0, -1)


def is_behind(session: Session, batch_id: str, *, xid: int, position: int) -> bool:
    """Whether any item became final behind a (transaction, position), readable yet or not."""
    return bool(session.scalar(select(exists().where(_behind(batch_id, xid, position)))))


def items_in(state: AnalysisState) -> ColumnElement[bool]:
    """Whether a batch has items in this state."""
    return (
        select(literal(1))
        .where(Analysis.batch_id == Batch.id, Analysis.state == state)
        .correlate(Batch)
        .exists()
    )


def open_items(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a batch has items that are not final."""
    query = select(literal(1)).where(Analysis.batch_id == Batch.id, one_of(Analysis.state, OPEN), *where)
    return query.correlate(Batch).exists()


def retry_items(session: Session, batch_id: str, states: Sequence[AnalysisState]) -> int:
    """Put final items back to waiting with a clean slate; how many. What they cost stays with them."""
    result = session.execute(
        update(Analysis)
        .where(Analysis.batch_id == batch_id, Analysis.state.in_(states))
        .values(
            state=AnalysisState.QUEUED,
            reason="tried again on request",
            error_code=None,
            error_message=None,
            answer=None,
            attempts=0,
            is_alone=False,
            lease_expiries=0,
            finished_at=None,
            finish_xid=None,
            rung_at=None,
            next_attempt_at=func.now(),
        )
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult


def extend_items(session: Session, batch_id: str) -> None:
    """Give the open items of a batch its deadline."""
    deadline = select(Batch.deadline_at).where(Batch.id == batch_id).scalar_subquery()
    session.execute(
        update(Analysis)
        .where(analyses.in_order(Analysis.batch_id == batch_id, Analysis.state.in_(OPEN)))
        .values(deadline_at=deadline)
        .execution_options(synchronize_session=False)
    )


def speed(session: Session, batch_id: str) -> float | None:
    """Items per second over the latest that finished; None before there are two."""
    latest = (
        select(Analysis.finished_at)
        .where(
            Analysis.batch_id == batch_id,
            Analysis.finish_xid.is_not(None),
            Analysis.state.in_(ANSWERED),  # the others become final by the thousand, at no speed at all
        )
        .order_by(Analysis.finish_xid.desc(), Analysis.position.desc())
        .limit(SPEED_ITEMS)
        .subquery()
    )
    span = func.extract("epoch", func.max(latest.c.finished_at) - func.min(latest.c.finished_at))
    count, seconds = session.execute(select(func.count(), span).select_from(latest)).one()
    return (count - 1) / float(seconds) if seconds else None


def _behind(batch_id: str, xid: int, position: int) -> ColumnElement[bool]:
    place = tuple_(Analysis.finish_xid, Analysis.position)
    behind = place > tuple_(literal(xid, BigInteger), literal(position))
    return and_(Analysis.batch_id == batch_id, Analysis.finish_xid.is_not(None), behind)


def _tally(rows: Sequence[Any]) -> Tally:
    def total(name: str) -> Any:
        known = [row[name] for row in rows if row[name] is not None]
        return sum(known) if known else None

    states = {row["state"]: row["items"] for row in rows}
    begun = min((row["started_at"] for row in rows if row["started_at"]), default=None)
    taken = {name: total(name) for name in USAGE}
    return Tally(states, taken, begun, cached=sum(row["cached"] for row in rows))

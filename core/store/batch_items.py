"""The items of batches: in by COPY, out in their order, and counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.models import Analysis, Batch
from core.states import AnalysisState
from core.store import analyses
from core.store.analyses import USAGE
from core.store.copying import copy
from core.store.words import one_of

OPEN = (AnalysisState.QUEUED, AnalysisState.RUNNING)
ANSWERED = (AnalysisState.COMPLETED, AnalysisState.FAILED)
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
SPEED_ITEMS = 500
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


def page(
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


def any_in(state: AnalysisState) -> ColumnElement[bool]:
    """Whether a batch has items in this state."""
    return (
        select(literal(1))
        .where(Analysis.batch_id == Batch.id, Analysis.state == state)
        .correlate(Batch)
        .exists()
    )


def any_open(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a batch has items that are not final."""
    query = select(literal(1)).where(Analysis.batch_id == Batch.id, one_of(Analysis.state, OPEN), *where)
    return query.correlate(Batch).exists()


def retry(session: Session, batch_id: str, states: Sequence[AnalysisState]) -> int:
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


def extend(session: Session, batch_id: str) -> None:
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

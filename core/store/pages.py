"""Pages of a listing that keep their place while rows come and go."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")


def newest_first(
    session: Session,
    query: Select[Row],
    by: InstrumentedAttribute[Any],
    *,
    before: str | None,
    limit: int,
) -> tuple[list[Row], bool]:
    """Up to `limit` rows, the newest first, all of them older than the id `before`; whether there are more.

    `by` is the column with the ids, whose order is their time.
    """
    if before is not None:
        query = query.where(by < before)
    rows = list(session.scalars(query.order_by(by.desc()).limit(limit + 1)))
    return rows[:limit], len(rows) > limit


def oldest_first(
    session: Session,
    query: Select[Row],
    by: InstrumentedAttribute[Any],
    *,
    after: str | None,
    limit: int,
) -> tuple[list[Row], bool]:
    """The same the other way round: the oldest first, all of them newer than the id `after`."""
    if after is not None:
        query = query.where(by > after)
    rows = list(session.scalars(query.order_by(by).limit(limit + 1)))
    return rows[:limit], len(rows) > limit

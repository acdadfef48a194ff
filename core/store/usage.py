"""The books, summed by time and by who or what was paid for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    DateTime,
    Select,
    Text,
    and_,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from core.models import Call, Reuse
from core.states import CallState
from core.store.analyses import USAGE

GROUPS = {"model": "model", "preset": "preset", "key": "key_id", "batch": "batch_id"}
"""What calls, and answers that were given again, can be grouped by, and their columns of it."""
OF_CALLS = ("state", "reserved_cost", "saved_cost", "saved_image_tokens", *USAGE)


def page(
    session: Session,
    account_id: str,
    *,
    since: datetime,
    until: datetime,
    interval: str,
    group_by: Sequence[str],
    after: Sequence[Any] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Up to `limit` groups by their time (`start`) and names, behind those of the group `after`.

    One query over the calls that the account made from `since` to before `until`, and over the answers that
    it was given again. What has no name is ''.
    """
    names = ("start", *group_by)

    def entries(book: type[Call | Reuse], *columns: Any) -> Select[Any]:
        return select(
            func.date_trunc(interval, book.created_at, "UTC").label("start"),
            *(func.coalesce(getattr(book, GROUPS[name]), "").label(name) for name in group_by),
            *columns,
        ).where(book.account_id == account_id, book.created_at >= since, book.created_at < until)

    paid = entries(
        Call, *(getattr(Call, name) for name in OF_CALLS), null().label("reused"), null().label("saved")
    )
    free = entries(Reuse, *(null().label(name) for name in OF_CALLS), literal_column("1"), Reuse.saved_cost)
    calls = union_all(paid, free).subquery()
    place = tuple_(*(calls.c[name] for name in names))
    sums = (func.sum(calls.c[name]).label(name) for name in USAGE)
    query = select(*(calls.c[name] for name in names), *_counts(calls.c), *sums).group_by(*place.clauses)
    if after is not None:
        start, *others = after
        behind = tuple_(literal(start, DateTime(timezone=True)), *(literal(each, Text) for each in others))
        query = query.where(calls.c.start >= start, place > behind)
    found = session.execute(query.order_by(*place.clauses).limit(limit))
    return [dict(row) for row in found.mappings()]


def _counts(call: Any) -> list[Any]:
    without_price = and_(call.state == CallState.SETTLED, call.prompt_cost.is_(None))
    unknown = or_(call.state == CallState.UNKNOWN, without_price)
    open_ones = func.sum(call.reserved_cost).filter(call.state == CallState.RESERVED)
    return [
        func.count(call.state).label("calls"),
        func.count().filter(call.state == CallState.REFUSED).label("refused_calls"),
        func.count().filter(unknown).label("unknown_cost_calls"),
        func.coalesce(open_ones, 0).label("reserved_cost"),
        func.coalesce(func.sum(call.saved_cost), 0).label("cascade_saved"),
        func.count(call.reused).label("cached"),
        func.coalesce(func.sum(call.saved), 0).label("saved"),
        func.coalesce(func.sum(call.saved_image_tokens), 0).label("saved_image_tokens"),
    ]

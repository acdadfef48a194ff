"""Which deliveries are rung for: of every lane the first ones that are due, as far as it has room.

A lane is an account and a server that it names. See docs/decisions/0016-webhooks.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg.rows import scalar_row
from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from core.db import Driver
from core.models import Base
from core.prepared import Prepared
from core.states import DeliveryState
from core.store.words import said

DELIVERIES, WEBHOOKS = (Base.metadata.tables[name] for name in ("deliveries", "webhooks"))
LOST_AFTER = timedelta(seconds=5)
"""After which a bell that nobody answered is rung again."""
PENDING = DELIVERIES.c.state == said(DeliveryState.PENDING)


def _busy(row: Any) -> ColumnElement[bool]:
    """Whether a delivery is being sent, or was rung for just now."""
    return and_(
        row.rung_at.is_not(None), or_(row.lease_until > func.now(), row.rung_at > func.now() - LOST_AFTER)
    )


def _picking() -> Any:
    """The due deliveries of every lane that has room: a walk along the index, one step for each lane."""
    first, later = DELIVERIES.alias("first"), DELIVERIES.alias("later")

    def waits(row: Any) -> ColumnElement[bool]:
        return and_(row.c.state == said(DeliveryState.PENDING), row.c.lane.is_not(None))

    lanes = select(func.min(first.c.lane).label("lane")).where(waits(first)).cte("lanes", recursive=True)
    following = select(func.min(later.c.lane)).where(waits(later), later.c.lane > lanes.c.lane)
    lanes = lanes.union_all(select(following.scalar_subquery()).where(lanes.c.lane.is_not(None)))
    busy = (
        select(DELIVERIES.c.lane, DELIVERIES.c.account_id, func.count().label("number"))
        .where(PENDING, _busy(DELIVERIES.c))
        .group_by(DELIVERIES.c.lane, DELIVERIES.c.account_id)
        .cte("busy")
    )
    in_lane = (
        select(func.coalesce(func.sum(busy.c.number), 0)).where(busy.c.lane == lanes.c.lane).correlate(lanes)
    )
    due, failing = DELIVERIES.alias("due"), WEBHOOKS.alias("failing")
    not_well = (
        select(failing.c.id)
        .where(failing.c.lane == lanes.c.lane, failing.c.failing_since.is_not(None))
        .correlate(lanes)
    )
    room = case((not_well.exists(), 1), else_=bindparam("in_lane", type_=Integer)) - in_lane.scalar_subquery()
    head = (
        select(due.c.id, due.c.account_id, due.c.next_attempt_at)
        .where(
            due.c.lane == lanes.c.lane, waits(due), due.c.next_attempt_at <= func.now(), ~_known(_busy(due.c))
        )
        .order_by(due.c.next_attempt_at)
        .limit(func.greatest(room, 0))
        .lateral("head")
    )
    place = func.row_number().over(partition_by=head.c.account_id, order_by=head.c.next_attempt_at)
    of_account = (
        select(func.coalesce(func.sum(busy.c.number), 0))
        .where(busy.c.account_id == head.c.account_id)
        .correlate(head)
    )
    heads = (
        select(head.c.id, head.c.next_attempt_at, (place + of_account.scalar_subquery()).label("place"))
        .select_from(lanes)
        .join(head, true())
        .subquery()
    )
    return (
        select(heads.c.id)
        .where(heads.c.place <= bindparam("of_account", type_=Integer))
        .order_by(heads.c.place, heads.c.next_attempt_at)
        .limit(bindparam("most", type_=Integer))
    )


def _known(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return func.coalesce(condition, literal(False))


ANY_DUE = Prepared(select(exists().where(PENDING, DELIVERIES.c.next_attempt_at <= func.now())))
PICK = Prepared(_picking())
MARK = Prepared(
    update(DELIVERIES)
    .where(DELIVERIES.c.id == func.any(bindparam("ids", type_=ARRAY(Text))), PENDING)
    .values(rung_at=func.now())
    .returning(DELIVERIES.c.id)
)


def any_due(driver: Driver) -> bool:
    """Whether there may be a delivery to ring for: asked several times a second, mostly in vain."""
    return ANY_DUE.holds(driver)


def pick(driver: Driver, most: int, *, in_lane: int, of_account: int) -> list[str]:
    """The next deliveries to be rung for, marked so: no more of a lane, or account, than may be busy."""
    picked = PICK.all(driver, {"most": most, "in_lane": in_lane, "of_account": of_account}, scalar_row)
    rung = set(MARK.all(driver, {"ids": picked}, scalar_row)) if picked else set()
    return [delivery_id for delivery_id in picked if delivery_id in rung]

"""Deliveries: claims, outcomes, listings, and what is sent anew. Which are rung for: core.store.lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Interval,
    Text,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, defer, selectinload

from core.errors import NotFound
from core.models import Attempt, Base, Delivery
from core.states import DELIVERY_MOVES, DeliveryState, sources
from core.store.pages import newest_first

DELIVERIES, WEBHOOKS, ATTEMPTS = (
    Base.metadata.tables[name] for name in ("deliveries", "webhooks", "delivery_attempts")
)
KEPT_ATTEMPTS = 20
"""Of one delivery, the latest ones."""
PENDING = DELIVERIES.c.state == DeliveryState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that is one worker's while `fence` is the row's, with what it takes to send it."""

    id: str
    webhook_id: str
    account_id: str
    fence: int
    tries: int
    attempts: int
    type: str
    subject_id: str
    created_at: datetime
    payload: Any
    url: str
    secrets: Sequence[str]
    """Those to sign with, the present one first."""

    def __repr__(self) -> str:
        return f"Claim({self.id})"


def _taking() -> Any:
    taken = (
        update(DELIVERIES)
        .where(
            DELIVERIES.c.id == bindparam("this_id"),
            PENDING,
            DELIVERIES.c.next_attempt_at <= func.now(),
            or_(DELIVERIES.c.lease_until.is_(None), DELIVERIES.c.lease_until < func.now()),
        )
        .values(
            lease_until=func.now() + bindparam("for_lease", type_=Interval),
            rung_at=func.now(),
            fence=DELIVERIES.c.fence + 1,
        )
        .returning(*(DELIVERIES.c[name] for name in Claim.__slots__ if name not in {"url", "secrets"}))
        .cte("taken")
    )
    old = case((WEBHOOKS.c.old_secret_until > func.now(), WEBHOOKS.c.old_secret))
    secrets = func.array_remove(postgresql.array([WEBHOOKS.c.secret, old]), None).label("secrets")
    return select(taken, WEBHOOKS.c.url, secrets).join(WEBHOOKS, WEBHOOKS.c.id == taken.c.webhook_id)


def _ending() -> Any:
    """Move a delivery on, keep the attempt, and of older ones only the latest: whether it was still ours."""
    final = bindparam("to_state", type_=Text) != DeliveryState.PENDING
    moved = (
        update(DELIVERIES)
        .where(
            DELIVERIES.c.id == bindparam("this_id"), DELIVERIES.c.fence == bindparam("held_fence"), PENDING
        )
        .values(
            state=bindparam("to_state", type_=Text),
            reason=bindparam("to_reason", type_=Text),
            rung_at=null(),
            lease_until=null(),
            tries=DELIVERIES.c.tries + 1,
            attempts=DELIVERIES.c.attempts + 1,
            next_attempt_at=func.now() + bindparam("again_in", type_=Interval),
            finished_at=case((final, func.now())),
        )
        .returning(DELIVERIES.c.id, DELIVERIES.c.attempts)
        .cte("moved")
    )
    outcome = (bindparam(name, type_=ATTEMPTS.c[name].type) for name in OUTCOME)
    attempt = select(moved.c.id, moved.c.attempts, *outcome)
    kept = insert(ATTEMPTS).from_select(("delivery_id", "number", *OUTCOME), attempt).cte("kept")
    old = (ATTEMPTS.c.delivery_id == moved.c.id, ATTEMPTS.c.number <= moved.c.attempts - KEPT_ATTEMPTS)
    return select(moved.c.id).add_cte(kept, delete(ATTEMPTS).where(*old).cte("gone"))


OUTCOME = ("seconds", "status", "error", "reply")
"""What is kept of an attempt."""
TAKE = _taking()
END = _ending()


def take(session: Session, delivery_id: str, lease: timedelta) -> Claim | None:
    """Take the lease of a due delivery; None where it is not due, or someone else was first."""
    row = session.execute(TAKE, {"this_id": delivery_id, "for_lease": lease}).mappings().one_or_none()
    return Claim(**row) if row else None


def end(
    session: Session,
    claim: Claim,
    to: DeliveryState,
    *,
    reason: str | None,
    again_in: timedelta,
    outcome: Mapping[str, Any],
) -> bool:
    """Move a delivery to where an attempt led, which is PENDING for another; whether it was still ours.

    `outcome` is what is kept of the attempt: see OUTCOME.
    """
    values = {"this_id": claim.id, "held_fence": claim.fence, "to_state": to, "to_reason": reason}
    values |= {"again_in": again_in, **outcome}
    return session.execute(END, values).one_or_none() is not None


def owned(session: Session, webhook_id: str, delivery_id: str) -> Delivery:
    """A delivery of a webhook with its attempts. Raises NotFound."""
    query = select(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.id == delivery_id)
    found = session.scalars(query.options(selectinload(Delivery.history))).one_or_none()
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id!r}.")
    return found


def page(
    session: Session, webhook_id: str, *, before: str | None, limit: int, state: str | None
) -> tuple[list[Delivery], bool]:
    """A page of a webhook's deliveries, the newest first, and whether there are more.

    With their attempts, but neither with what was sent nor with what was replied.
    """
    history = selectinload(Delivery.history).defer(Attempt.reply)
    query = (
        select(Delivery).where(Delivery.webhook_id == webhook_id).options(history, defer(Delivery.payload))
    )
    if state is not None:
        query = query.where(Delivery.state == state)
    return newest_first(session, query, Delivery.id, before=before, limit=limit)


def send_again(session: Session, webhook_id: str, *where: ColumnElement[bool]) -> list[str]:
    """Put final deliveries of a webhook back to be sent from now on; their ids."""
    again = (
        update(Delivery)
        .where(
            Delivery.webhook_id == webhook_id,
            Delivery.state.in_(sources(DELIVERY_MOVES, DeliveryState.PENDING)),
            *where,
        )
        .values(
            state=DeliveryState.PENDING,
            reason=None,
            tries=0,
            next_attempt_at=func.now(),
            finished_at=None,
            rung_at=None,
            lease_until=None,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(again))


def unheard(session: Session, webhook_id: str, limit: int) -> list[Delivery]:
    """What a listener has not been told yet, in its order."""
    query = select(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.state == DeliveryState.PENDING)
    return list(session.scalars(query.order_by(Delivery.id).limit(limit)))


def heard(session: Session, ids: Sequence[str]) -> None:
    """A listener was told these."""
    told = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == DeliveryState.PENDING)
    values = {"state": DeliveryState.DELIVERED, "finished_at": func.now()}
    session.execute(told.values(values).execution_options(synchronize_session=False))


def remove_of(session: Session, subject_ids: Sequence[str]) -> None:
    """Remove what tells of these, and the webhooks that were theirs alone."""
    session.execute(delete(DELIVERIES).where(DELIVERIES.c.subject_id.in_(subject_ids)))
    session.execute(delete(WEBHOOKS).where(WEBHOOKS.c.owner_id.in_(subject_ids)))


def forget(session: Session, age: timedelta, limit: int) -> int:
    """Remove some deliveries that have been final for so long; how many."""
    old = select(Delivery.id).where(Delivery.finished_at < func.now() - age).limit(limit)
    gone = delete(Delivery).where(Delivery.id.in_(old.with_for_update(skip_locked=True)))
    return len(session.scalars(gone.returning(Delivery.id)).all())


def backlog(session: Session) -> tuple[int, float]:
    """How many deliveries wait, and how long the longest of them has been due, in seconds."""
    oldest = func.greatest(0, func.extract("epoch", func.now() - func.min(Delivery.next_attempt_at)))
    query = select(func.count(), func.coalesce(oldest, 0)).where(
        Delivery.state == DeliveryState.PENDING, Delivery.lane.is_not(None)
    )
    number, seconds = session.execute(query).one()
    return number, float(seconds)

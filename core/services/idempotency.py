"""A request that is sent twice is done once: its key is stored in the transaction that does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from core.desk import Desk
from core.errors import IdempotencyMismatch, RequestInFlight
from core.models import IdempotencyKey
from core.store import idempotency

RETRY_AFTER = 1.0
NO_ID = ""
"""Stands for what has none: it is found by what the request says."""


@dataclass(slots=True, kw_only=True)
class Once:
    """A request that is to be done once, however often it is sent."""

    account_id: str
    route: str
    key: str
    fingerprint: bytes
    replayed: bool = False
    """Whether it turned out to be done already."""


def earlier(desk: Desk, session: Session, once: Once | None, subject_id: str) -> str | None:
    """The id of what this request made before; None where it is free to make `subject_id` now.

    Call it before anything else in the transaction. If that rolls back, or the process dies, the key is free
    again. Raises IdempotencyMismatch, RequestInFlight.
    """
    if once is None:
        return None
    row = IdempotencyKey(
        account_id=once.account_id,
        route=once.route,
        key=once.key,
        fingerprint=once.fingerprint,
        subject_id=subject_id,
    )
    if idempotency.claim(session, row, _kept(desk)):
        return None
    if (made := replayed(desk, session, once)) is None:
        raise RequestInFlight(retry_after=RETRY_AFTER)
    return made


def is_done(desk: Desk, session: Session, once: Once | None) -> bool:
    """Whether this request was done before; the same as `earlier`, for what is known by a name of its own."""
    return earlier(desk, session, once, NO_ID) is not None


def replayed(desk: Desk, session: Session, once: Once) -> str | None:
    """The id of what this request made before, if it did; claims nothing. Raises IdempotencyMismatch."""
    found = idempotency.find(session, once.account_id, once.route, once.key, _kept(desk))
    if found is None:
        return None
    if found.fingerprint != once.fingerprint:
        raise IdempotencyMismatch
    once.replayed = True
    return found.subject_id


def forget_old(desk: Desk) -> None:
    """Remove keys that are kept no longer."""
    with desk.database.transaction() as session:
        idempotency.forget(session, _kept(desk))


def _kept(desk: Desk) -> timedelta:
    return timedelta(seconds=desk.settings.idempotency_retention)

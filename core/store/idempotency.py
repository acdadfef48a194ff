"""Idempotency keys: claimed once, found again, forgotten."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import IdempotencyKey


def claim(session: Session, row: IdempotencyKey, kept: timedelta) -> bool:
    """Store a key; False where it is stored already, or where an open transaction is about to.

    The lock lets nobody wait: without it, a second request would hold a connection until the first one's
    transaction ends.
    """
    names = ("account_id", "route", "key", "fingerprint", "subject_id")
    values = select(*(literal(getattr(row, name)) for name in names))
    free = values.where(func.pg_try_advisory_xact_lock(_number(row)))
    statement = insert(IdempotencyKey).from_select(names, free)
    taken = statement.on_conflict_do_update(
        index_elements=[IdempotencyKey.account_id, IdempotencyKey.route, IdempotencyKey.key],
        set_={
            "fingerprint": statement.excluded.fingerprint,
            "subject_id": statement.excluded.subject_id,
            "created_at": func.now(),
        },
        where=_is_old(kept),
    )
    return session.execute(taken.returning(IdempotencyKey.subject_id)).scalar_one_or_none() is not None


def find(session: Session, account_id: str, route: str, key: str, kept: timedelta) -> IdempotencyKey | None:
    """The key as it was stored before, unless it is too old."""
    query = select(IdempotencyKey).where(
        IdempotencyKey.account_id == account_id,
        IdempotencyKey.route == route,
        IdempotencyKey.key == key,
        ~_is_old(kept),
    )
    return session.scalars(query).one_or_none()


def forget(session: Session, kept: timedelta) -> None:
    """Remove the keys that are too old."""
    session.execute(delete(IdempotencyKey).where(_is_old(kept)))


def _is_old(kept: timedelta) -> ColumnElement[bool]:
    return IdempotencyKey.created_at <= func.now() - kept


def _number(row: IdempotencyKey) -> ColumnElement[int]:
    """A number for the advisory lock of a key; two keys that meet by chance cost one of them a 409."""
    return func.hashtextextended(f"{row.account_id} {row.route} {row.key}", literal_column("0"))

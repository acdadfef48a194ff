"""Brands: stored by the thousand, read whole by the workers that match them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.models import Brand

AT_ONCE = 1_000
Stamp = tuple[int, datetime | None]


def put(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store brands; one whose key the account has already takes the new name and aliases."""
    ordered = sorted(rows, key=lambda row: row["key"])  # two imports that lock in one order cannot deadlock
    for start in range(0, len(ordered), AT_ONCE):
        new = insert(Brand).values(ordered[start : start + AT_ONCE])
        values = {
            "name": new.excluded.name,
            "aliases": new.excluded.aliases,
            "updated_at": func.clock_timestamp(),
        }
        session.execute(new.on_conflict_do_update(index_elements=["account_id", "key"], set_=values))


def by_key(session: Session, account_id: str, key: str) -> Brand:
    """The account's brand of that key. Raises NotFound."""
    query = select(Brand).where(Brand.account_id == account_id, Brand.key == key)
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFound("The brand was deleted meanwhile.")
    return found


def page(session: Session, account_id: str, *, after: str | None, limit: int) -> list[Brand]:
    """Up to `limit` brands of the account in the order of their ids, behind one of them."""
    query = select(Brand).where(Brand.account_id == account_id)
    if after is not None:
        query = query.where(Brand.id > after)
    return list(session.scalars(query.order_by(Brand.id).limit(limit)))


def everything(session: Session, account_id: str) -> list[tuple[str, str, list[str]]]:
    """The id, name and aliases of each of the account's brands, in the order of their ids."""
    query = select(Brand.id, Brand.name, Brand.aliases).where(Brand.account_id == account_id)
    return [(row.id, row.name, row.aliases) for row in session.execute(query.order_by(Brand.id))]


def stamp(session: Session, account_id: str) -> Stamp:
    """What changes with every change of the account's brands."""
    query = select(func.count(), func.max(Brand.updated_at)).where(Brand.account_id == account_id)
    count, latest = session.execute(query).one()
    return count, latest


def remove(session: Session, account_id: str, brand_id: str) -> None:
    """Remove a brand. Raises NotFound."""
    gone = delete(Brand).where(Brand.account_id == account_id, Brand.id == brand_id).returning(Brand.id)
    if session.scalar(gone) is None:
        raise NotFound(f"There is no brand {brand_id!r}.")

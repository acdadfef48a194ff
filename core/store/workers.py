"""The workers' own reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Worker


def report(session: Session, name: str, *, slots: int, endpoint: dict[str, Any]) -> None:
    """A worker is alive and says how the endpoint does."""
    values = {"slots": slots, "endpoint": endpoint, "seen_at": func.now()}
    statement = insert(Worker).values(name=name, **values)
    session.execute(statement.on_conflict_do_update(index_elements=[Worker.name], set_=values))


def leave(session: Session, name: str) -> None:
    """A worker stops."""
    session.execute(delete(Worker).where(Worker.name == name))


def seen(session: Session, within: timedelta) -> list[Worker]:
    """The workers that reported lately, by name; not those that only deliver to webhooks."""
    lately = (Worker.seen_at > func.now() - within, Worker.slots > 0)
    query = select(Worker).where(*lately).order_by(Worker.name)
    return list(session.scalars(query))


def slots(session: Session, within: timedelta) -> int:
    """How many analyses the workers that reported lately can do at once."""
    total = select(func.coalesce(func.sum(Worker.slots), 0))
    return int(session.scalar(total.where(Worker.seen_at > func.now() - within)) or 0)


def forget(session: Session, after: timedelta) -> None:
    """Drop the workers that nobody heard of for that long."""
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - after))

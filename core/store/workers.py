"""The workers' own reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, bindparam, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.db import Driver
from core.models import Base, Worker
from core.prepared import Prepared

WORKERS = Base.metadata.tables["workers"]


def _reporting() -> Any:
    """Enter a report in the place of the last one, and count the other workers that analyse."""
    given = {name: bindparam(name, type_=WORKERS.c[name].type) for name in ("name", "slots", "endpoint")}
    row = insert(WORKERS).values(given | {"seen_at": func.now()})
    news = {name: row.excluded[name] for name in ("slots", "endpoint", "seen_at")}
    reported = row.on_conflict_do_update(index_elements=["name"], set_=news).cte("reported")
    others = select(func.count()).where(*_analyses_now(WORKERS.c), WORKERS.c.name != given["name"])
    return others.add_cte(reported)


def _analyses_now(worker: Any) -> tuple[ColumnElement[bool], ...]:
    """Whether a worker was seen `within` some time, and not only delivers to webhooks."""
    return worker.seen_at > func.now() - bindparam("within", type_=Interval), worker.slots > 0


REPORT = Prepared(_reporting())
SLOTS = Prepared(
    select(func.coalesce(func.sum(WORKERS.c.slots), literal_column("0"))).where(*_analyses_now(WORKERS.c))
)


def report(driver: Driver, name: str, *, slots: int, endpoint: dict[str, Any], within: timedelta) -> int:
    """A worker is alive and says how the endpoint does; how many others, seen within that, analyse."""
    values = {"name": name, "slots": slots, "endpoint": endpoint, "within": within}
    [others] = REPORT.one(driver, values)
    return int(others)


def leave(session: Session, name: str) -> None:
    """A worker stops."""
    session.execute(delete(Worker).where(Worker.name == name))


def seen(session: Session, within: timedelta) -> list[Worker]:
    """The workers that reported lately, by name; not those that only deliver to webhooks."""
    query = select(Worker).where(*_analyses_now(Worker)).order_by(Worker.name)
    return list(session.scalars(query, {"within": within}))


def slots(driver: Driver, within: timedelta) -> int:
    """How many analyses the workers that reported lately can do at once."""
    [total] = SLOTS.one(driver, {"within": within})
    return int(total)


def forget(session: Session, after: timedelta) -> None:
    """Drop the workers that nobody heard of for that long."""
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - after))

"""The workers as a fleet: who is there, and how they find the endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from core.desk import Desk
from core.models import Worker
from core.store import workers

SEEN_WITHIN = timedelta(seconds=20)


def report(desk: Desk, name: str, *, slots: int, endpoint: dict[str, Any]) -> int:
    """A worker says that it lives; how many others analyse now."""
    with desk.database.driver() as driver:
        return workers.report(driver, name, slots=slots, endpoint=endpoint, within=SEEN_WITHIN)


def leave(desk: Desk, name: str) -> None:
    """A worker stops."""
    with desk.database.transaction() as session:
        workers.leave(session, name)


def seen(desk: Desk) -> list[Worker]:
    """The workers that are there now."""
    with desk.database.transaction() as session:
        return workers.seen(session, SEEN_WITHIN)


def forget(desk: Desk, after: timedelta) -> None:
    """Drop workers that died without a word."""
    with desk.database.transaction() as session:
        workers.forget(session, after)

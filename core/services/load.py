"""How much there is to do, and who is there to do it; looked up when operators ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from core.desk import Desk
from core.errors import Unavailable
from core.queue import BULK, INTERACTIVE, WEBHOOKS
from core.services import fleet
from core.store import deliveries, load
from core.store.load import Waiting

KEPT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What Postgres knows."""

    waiting: Mapping[str, Waiting]
    running: int
    workers: int
    slots: int
    deliveries: Waiting
    """To webhooks."""


@dataclass(frozen=True, slots=True)
class Load:
    """None for whatever did not answer."""

    work: Work | None
    messages: Mapping[str, int] | None
    """Bells that wait in Redis, by queue."""


class Lookout:
    """Looks at the load, and relies on what it saw for some seconds, however many ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._seen: Load | None = None
        self._seen_at = 0.0

    def look(self) -> Load:
        """The load as it is, or was a few seconds ago. Never raises."""
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen_at > KEPT_SECONDS:
                self._seen, self._seen_at = Load(_work(self._desk), _messages(self._desk)), time.monotonic()
            return self._seen


def _work(desk: Desk) -> Work | None:
    try:
        workers = fleet.seen(desk)
        with desk.database.transaction() as session:
            waiting, running = load.waiting(session), load.running(session)
            backlog = Waiting(*deliveries.backlog(session))
    except Unavailable:
        return None
    slots = sum(worker.slots for worker in workers)
    return Work(waiting=waiting, running=running, workers=len(workers), slots=slots, deliveries=backlog)


def _messages(desk: Desk) -> dict[str, int] | None:
    found = {}
    for queue in (INTERACTIVE, BULK, WEBHOOKS):
        if desk.redis_quiet.now() or (waiting := desk.doorbell.waiting(queue)) is None:
            return None
        found[queue] = waiting
    return found

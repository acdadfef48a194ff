"""The doorbell: the Celery app, the names of its tasks, and senders that ring after the commit."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import cast

import redis
import structlog
from celery import Celery
from sqlalchemy.orm import Session

from core.bells import bell
from core.db import after_commit
from core.quiet import Quiet
from core.redis import PREFIX, connect

log = structlog.get_logger(__name__)

INTERACTIVE = "interactive"
"""The queue of analyses that somebody waits for."""
BULK = "bulk"
"""The queue of items of batches; never longer than a short window."""
WEBHOOKS = "webhooks"
"""The queue of deliveries; never longer than a short window."""

celery_app = Celery("vitrine")
celery_app.config_from_object("celeryconfig")


class Task(StrEnum):
    """Every Celery task by name; tests hold the registry of the workers against it."""

    ANALYZE = "analyses.analyze"
    DELIVER = "webhooks.deliver"
    MEASURE = "images.measure"


class Doorbell:
    """Rings workers for a row. A bell that fails is only late: the sweep rings for rows that nobody took."""

    def __init__(self, redis_url: str, quiet: Quiet) -> None:
        self._url = redis_url
        self._quiet = quiet

    @cached_property
    def _redis(self) -> redis.Redis:
        return connect(self._url)

    def ring_after_commit(self, session: Session, task: Task, row_id: str) -> None:
        """Ring once this session's transaction is durable."""
        after_commit(session, lambda: self.ring(task, [row_id]))

    def ring(self, task: Task, row_ids: Iterable[str], queue: str = INTERACTIVE) -> None:
        """Ring now, for rows that are committed: all of them with one command."""
        bells = [bell(task, row_id, queue) for row_id in row_ids]
        if not bells or self._quiet.now():
            return
        try:
            self._redis.lpush(PREFIX + queue, *bells)
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("doorbell_failed", task=task, error=type(error).__name__)

    def waiting(self, queue: str) -> int | None:
        """How many bells wait in a queue; None where Redis does not answer.

        Asked of Redis itself: kombu looks for the queue without its prefix, and so never finds it.
        """
        try:
            return int(cast("int", self._redis.llen(PREFIX + queue)))
        except redis.RedisError as error:
            log.warning("queue_unknown", error=type(error).__name__)
            return None

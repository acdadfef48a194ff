"""The doorbell: the Celery app, the names of its tasks, and senders that ring after the commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from enum import StrEnum

import redis
import structlog
from celery import Celery
from kombu.exceptions import ChannelError, OperationalError
from sqlalchemy.orm import Session

from core.db import after_commit

SILENCE = 5.0
"""Seconds without ringing after a bell failed: a hung Redis then delays one request, not each of them."""

log = structlog.get_logger(__name__)

INTERACTIVE = "interactive"
"""The queue of analyses that somebody waits for."""

celery_app = Celery("vitrine")
celery_app.config_from_object("celeryconfig")


class Task(StrEnum):
    """Every Celery task by name; tests hold the registry of the workers against it."""

    ANALYZE = "analyses.analyze"


class Doorbell:
    """Rings workers for a row. A bell that fails is only late: the sweep rings for rows that nobody took."""

    def __init__(self) -> None:
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def ring_after_commit(self, session: Session, task: Task, row_id: str) -> None:
        """Ring once this session's transaction is durable."""
        after_commit(session, lambda: self.ring(task, [row_id]))

    def ring(self, task: Task, row_ids: Iterable[str]) -> None:
        """Ring now, for rows that are committed; over one connection for all of them."""
        if time.monotonic() < self._silent_until:
            return
        try:
            with celery_app.producer_or_acquire() as producer:
                for row_id in row_ids:
                    celery_app.send_task(task, [row_id], producer=producer, retry=False)
        except (OperationalError, redis.RedisError, OSError) as error:
            with self._lock:
                self._silent_until = time.monotonic() + SILENCE
            log.warning("doorbell_failed", task=task, error=type(error).__name__)

    def waiting(self, queue: str) -> int | None:
        """How many bells wait in a queue; None where Redis does not answer."""
        try:
            with celery_app.connection_for_write() as connection:
                declared = connection.default_channel.queue_declare(queue, passive=True)
                return int(declared.message_count)
        except ChannelError:
            return 0  # a queue that never had a message
        except (OperationalError, redis.RedisError, OSError) as error:
            log.warning("queue_unknown", error=type(error).__name__)
            return None

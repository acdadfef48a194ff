"""Live events over Redis Streams. They only save waiting: whoever misses one finds the truth in Postgres."""

from __future__ import annotations

import time
from functools import cached_property

import redis
import structlog
from sqlalchemy.orm import Session

from core.db import after_commit

KEEP_SECONDS = 600
SOCKET_SECONDS = 3
POLL_SECONDS = 0.25

log = structlog.get_logger(__name__)


class Events:
    """One stream per analysis; it ends with the event that tells its final state."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url

    @cached_property
    def _redis(self) -> redis.Redis:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            health_check_interval=10,
        )

    def tell_after_commit(self, session: Session, subject: str, event: str) -> None:
        """Tell whoever waits for the subject, once this session's transaction is durable."""
        after_commit(session, lambda: self._tell(subject, event))

    def wait(self, subject: str, seconds: float) -> None:
        """Return when an event of the subject is there or the time is up; without Redis after a short nap."""
        # The read must end before the socket's own timeout, which would drop the connection.
        block = max(1, int(min(seconds, SOCKET_SECONDS - 1) * 1000))
        try:
            self._redis.xread({_key(subject): "0"}, count=1, block=block)
        except redis.RedisError as error:
            log.warning("events_unavailable", error=type(error).__name__)
            time.sleep(min(seconds, POLL_SECONDS))

    def ping(self) -> None:
        """Raises redis.RedisError unless Redis answers."""
        self._redis.ping()

    def _tell(self, subject: str, event: str) -> None:
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(_key(subject), {"event": event}, maxlen=1000, approximate=True)
                pipe.expire(_key(subject), KEEP_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            log.warning("event_not_told", subject=subject, error=type(error).__name__)


def _key(subject: str) -> str:
    return f"vitrine:events:{subject}"

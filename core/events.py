"""Live events over Redis Streams. They only save waiting: whoever misses one finds the truth in Postgres."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import redis
import structlog
from sqlalchemy.orm import Session

from core.db import after_commit
from core.quiet import Quiet
from core.redis import PREFIX, SOCKET_SECONDS, connect

KEEP_SECONDS = 600
POLL_SECONDS = 0.25

log = structlog.get_logger(__name__)


class Events:
    """One stream per analysis; it ends with the event that tells its final state."""

    def __init__(self, redis_url: str, quiet: Quiet) -> None:
        self._url = redis_url
        self._quiet = quiet

    @cached_property
    def _redis(self) -> redis.Redis:
        return connect(self._url)

    def tell_after_commit(self, session: Session, subject: str, event: str) -> None:
        """Tell whoever waits for the subject, once this session's transaction is durable."""
        after_commit(session, lambda: self.tell(subject, event))

    def tell(self, subject: str, event: str) -> None:
        """Tell whoever waits for the subject of what is durable."""
        if not self._quiet.now():
            self._add(_key(subject), {"event": event}, maxlen=1000)

    def wait_for_news(self, subject: str, seconds: float) -> None:
        """Return when an event of the subject comes from now on, or the time is up."""
        self.wait(subject, seconds, behind="$")

    def wait(self, subject: str, seconds: float, behind: str = "0") -> None:
        """Return when an event of the subject is there or the time is up; without Redis after a short nap."""
        # The read must end before the socket's own timeout, which would drop the connection.
        block = max(1, int(min(seconds, SOCKET_SECONDS - 1) * 1000))
        if self._quiet.now():
            time.sleep(min(seconds, POLL_SECONDS))
            return
        try:
            self._redis.xread({_key(subject): behind}, count=1, block=block)
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("events_unavailable", error=type(error).__name__)

    def publish(self, subject: str, entry: Mapping[str, str | int]) -> bool:
        """Add a part to what is made for the subject; False where Redis does not take it."""
        return not self._quiet.now() and self._add(_parts_key(subject), entry)

    def parts(self, subject: str, behind: str, seconds: float) -> list[tuple[str, dict[str, str]]]:
        """The parts behind an entry's id, as soon as there are some, the subject is final, or the time is up.

        None without Redis.
        """
        block = max(1, int(min(seconds, SOCKET_SECONDS - 1) * 1000))
        if self._quiet.now():
            time.sleep(min(seconds, POLL_SECONDS))
            return []
        try:
            streams = {_parts_key(subject): behind, _key(subject): "0"}
            found = cast("Any", self._redis.xread(cast("Any", streams), block=block))
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("events_unavailable", error=type(error).__name__)
            return []
        parts = dict(found).get(_parts_key(subject).encode(), [])
        return [(_text(entry_id), _texts(fields)) for entry_id, fields in parts]

    def ping(self) -> None:
        """Raises redis.RedisError unless Redis answers."""
        self._redis.ping()

    def _add(self, key: str, entry: Mapping[str, str | int], maxlen: int | None = None) -> bool:
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(key, cast("Any", entry), maxlen=maxlen, approximate=True)
                pipe.expire(key, KEEP_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("event_not_told", key=key, error=type(error).__name__)
            return False
        return True


def _key(subject: str) -> str:
    return f"{PREFIX}events:{subject}"


def _parts_key(subject: str) -> str:
    return f"{PREFIX}parts:{subject}"


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in fields.items()}


def _text(value: bytes) -> str:
    return value.decode()

"""Live events over Redis Streams. They only save waiting: whoever misses one finds the truth in Postgres."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

import redis
import structlog
from sqlalchemy.orm import Session

from core.db import after_commit
from core.quiet import Quiet
from core.redis import PREFIX, SOCKET_SECONDS, connect

KEEP_SECONDS = 600
POLL_SECONDS = 0.25

log = structlog.get_logger(__name__)


Entry = tuple[str, dict[str, str]]
"""An entry's id, and its fields."""


class Addition(NamedTuple):
    """An entry for the log of a subject."""

    subject: str
    fields: Mapping[str, str | int]
    begins: bool
    """Whether it makes the log where there is none; else it must continue one."""
    looks: bool
    """Whether to keep the log for longer, and to see whether its subject is final."""


class Added(NamedTuple):
    """What became of an addition."""

    taken: bool
    """False where the log that it continues is lost."""
    is_final: bool


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
        if self._quiet.now():
            return
        key = end_of(subject)
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(key, {"event": event}, maxlen=1000, approximate=True)
                pipe.expire(key, KEEP_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("event_not_told", key=key, error=type(error).__name__)

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
            self._redis.xread({end_of(subject): behind}, count=1, block=block)
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("events_unavailable", error=type(error).__name__)

    def append(self, additions: Sequence[Addition]) -> list[Added] | None:
        """Add to the logs of answers that are being made, all in one go; None where Redis takes nothing."""
        if self._quiet.now():
            return None
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for addition in additions:
                    _queue(pipe, addition)
                replies = iter(pipe.execute())
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("parts_not_told", subjects=len(additions), error=type(error).__name__)
            return None
        return [_added(addition, replies) for addition in additions]

    def read(self, places: Mapping[str, str], seconds: float) -> dict[str, list[Entry]] | None:
        """What each of these keys has behind an entry's id, as soon as there is something or the time is up.

        None without Redis, after a short nap.
        """
        block = max(1, int(min(seconds, SOCKET_SECONDS - 1) * 1000))
        if self._quiet.now():
            time.sleep(min(seconds, POLL_SECONDS))
            return None
        try:
            found = cast("Any", self._redis.xread(cast("Any", dict(places)), block=block))
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("events_unavailable", error=type(error).__name__)
            return None
        return {
            _text(key): [(_text(entry_id), _texts(fields)) for entry_id, fields in entries]
            for key, entries in found
        }

    def call(self, reader: str) -> None:
        """Let whoever reads `end_of(reader)` look at once."""
        self.tell(reader, "called")

    def ping(self) -> None:
        """Raises redis.RedisError unless Redis answers."""
        self._redis.ping()


def end_of(subject: str) -> str:
    """The key where it is told what became of a subject."""
    return f"{PREFIX}events:{subject}"


def log_of(subject: str) -> str:
    """The key of what is told while an answer is made."""
    return f"{PREFIX}parts:{subject}"


def _queue(pipe: Any, addition: Addition) -> None:
    key = log_of(addition.subject)
    pipe.xadd(key, addition.fields, nomkstream=not addition.begins)
    if addition.looks:
        pipe.expire(key, KEEP_SECONDS)
        pipe.exists(end_of(addition.subject))


def _added(addition: Addition, replies: Iterator[Any]) -> Added:
    taken = next(replies) is not None
    is_final = bool((next(replies), next(replies))[1]) if addition.looks else False
    return Added(taken, is_final)


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in fields.items()}


def _text(value: bytes) -> str:
    return value.decode()

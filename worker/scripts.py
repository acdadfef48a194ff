"""Lua that runs in Redis as one atomic step, and gives up soon."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import redis
import structlog
from redis.exceptions import NoScriptError

from core.quiet import Quiet
from core.redis import connect

SECONDS = 1.0
"""A call waits no longer for the throttle of all workers before it goes by its own."""

T = TypeVar("T")
U = TypeVar("U")

log = structlog.get_logger(__name__)


class Away(Exception):
    """Redis does not answer."""


class Script:
    """Lua, and the name by which Redis knows it once it has seen it."""

    def __init__(self, lua: str) -> None:
        self.lua = lua
        self.digest = hashlib.sha1(lua.encode()).hexdigest()  # noqa: S324  (Redis names scripts so)


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One run of a script on a key; `read` makes what it means of what Redis answers."""

    script: Script
    key: str
    arguments: tuple[str | float, ...]
    read: Callable[[Any], T]


class Scripts:
    """Runs scripts over one pool; once Redis has failed, it is left alone for some seconds."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url, seconds=SECONDS)
        self._quiet = Quiet()

    def run(self, step: Step[T]) -> T:
        """Do one step. Raises Away."""
        [answer] = self._answers(step)
        return step.read(answer)

    def both(self, one: Step[T], other: Step[U]) -> tuple[T, U]:
        """Do two steps, one right after the other, on one trip: each costs a worker as much as the trip does.

        Raises Away.
        """
        answer, other_answer = self._answers(one, other)
        return one.read(answer), other.read(other_answer)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _answers(self, *steps: Step[Any]) -> list[Any]:
        if self._quiet.now():
            raise Away
        try:
            return [self._known(*pair) for pair in zip(steps, self._trip(steps), strict=True)]
        except redis.RedisError as error:
            self._quiet.begin()
            log.warning("throttle_alone", error=type(error).__name__)
            raise Away from error

    def _trip(self, steps: Sequence[Step[Any]]) -> list[Any]:
        """What Redis answers to each step, which may be an error."""
        with self._redis.pipeline(transaction=False) as pipe:
            for step in steps:
                pipe.evalsha(step.script.digest, 1, step.key, *step.arguments)
            return pipe.execute(raise_on_error=False)

    def _known(self, step: Step[Any], answer: Any) -> Any:
        """The answer; where Redis did not know the script, for it has just begun, that of another try."""
        if isinstance(answer, NoScriptError):
            return self._redis.eval(step.script.lua, 1, step.key, *step.arguments)
        if isinstance(answer, Exception):
            raise answer
        return answer

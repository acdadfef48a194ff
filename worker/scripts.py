"""Lua that runs in Redis as one atomic step, and gives up soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import structlog

from core.quiet import Quiet
from core.redis import connect

SECONDS = 1.0
"""A call waits no longer for the throttle of all workers before it goes by its own."""

log = structlog.get_logger(__name__)


class Away(Exception):
    """Redis does not answer."""


class Scripts:
    """Runs scripts over one pool; once Redis has failed, it is left alone for some seconds."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url, seconds=SECONDS)
        self._quiet = Quiet()

    def script(self, lua: str) -> Callable[..., Any]:
        """A function of a key and arguments that runs this script. It raises Away."""
        registered = self._redis.register_script(lua)

        def run(key: str, *arguments: str | float) -> Any:
            if self._quiet.now():
                raise Away
            try:
                return registered(keys=[key], args=arguments)
            except redis.RedisError as error:
                self._quiet.begin()
                log.warning("throttle_alone", error=type(error).__name__)
                raise Away from error

        return run

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

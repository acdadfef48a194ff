"""Where Flask-Limiter counts: Redis, but not while that is better left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from limits.storage import RedisStorage

from core.quiet import Quiet

SCHEME = "quiet+redis"


class QuietStorage(RedisStorage):
    """Fails at once while Redis is quiet, so that Flask-Limiter counts in this process instead.

    Its own back-off would not do: it asks a second time at once, then every few seconds, and tells nobody
    else what it has waited for in vain.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  # its base says that it belongs to the instance

    def __init__(self, uri: str, quiet: Quiet, **options: Any) -> None:
        super().__init__(uri, **options)
        self._quiet = quiet

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count. Raises redis.RedisError."""
        with self._asked():
            return super().incr(key, expiry, amount)

    def get(self, key: str) -> int:
        """What was counted. Raises redis.RedisError."""
        with self._asked():
            return super().get(key)

    def check(self) -> bool:
        """Whether it may be asked again: the next count finds out whether it answers."""
        return not self._quiet.now()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        if self._quiet.now():
            raise redis.ConnectionError("It has just failed to answer.")
        try:
            yield
        except redis.RedisError:
            self._quiet.begin()
            raise

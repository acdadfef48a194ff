"""Connections to Redis that give up soon: nothing in it is worth a long wait."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PREFIX = "vitrine:"
"""Of every key of ours, Celery's included."""
SOCKET_SECONDS = 3


def connect(url: str, *, seconds: float = SOCKET_SECONDS) -> redis.Redis:
    """A client with a pool; opens nothing before its first command."""
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        health_check_interval=10,
        retry=Retry(
            NoBackoff(), 0
        ),  # its default tries, each with the whole timeout, add up to half a minute
    )

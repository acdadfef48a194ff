"""Whether the parts of a stack answer, each asked in its own language."""

import psycopg
import redis
import requests
from kombu.exceptions import OperationalError

from core.queue import celery_app

SECONDS = 2.0


def answers_http(url: str) -> bool:
    """Whether a GET is answered by 200; with the password of its URL, if it has one."""
    try:
        return requests.get(url, timeout=SECONDS).ok
    except requests.RequestException:
        return False


def answers_database(url: str) -> bool:
    """Whether a given database takes connections."""
    try:
        with psycopg.connect(_libpq(url), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def answers_redis(url: str) -> bool:
    """Whether a given Redis takes commands."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False


def workers_answer(count: int) -> bool:
    """Whether so many Celery workers of this environment reply to a ping within a second."""
    try:
        replies = celery_app.control.broadcast("ping", reply=True, timeout=1.0, limit=count)
    except (OperationalError, redis.RedisError):  # the second from a connection of an earlier start
        return False
    return len(replies) >= count


def _libpq(url: str) -> str:
    """A database URL without SQLAlchemy's driver name."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"

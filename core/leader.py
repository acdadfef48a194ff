"""Which one of many processes does what only one need do."""

from __future__ import annotations

import time

import structlog
from sqlalchemy import Connection, func, literal_column, select, text
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database

SILENCE = "5s"
"""After so long without a word from its holder Postgres frees the post: whoever hangs does not lead."""

CERTAIN_SECONDS = 1.0
"""Who has just looked relies on it: chores come several times a second, and may wait for one."""

log = structlog.get_logger(__name__)


class Leader:
    """A post that one process holds at a time: an advisory lock on a connection of its own.

    It saves work and guards nothing: for a moment two may believe that they hold it.
    """

    def __init__(self, database: Database, post: str) -> None:
        self._database = database
        self._lock = func.pg_try_advisory_lock(func.hashtextextended(post, literal_column("0")))
        self._connection: Connection | None = None
        self._leads = False
        self._looked_at = -CERTAIN_SECONDS

    def leads(self) -> bool:
        """Whether the post is this process's; to be asked more often than SILENCE. Never raises."""
        if time.monotonic() - self._looked_at < CERTAIN_SECONDS:
            return self._leads
        self._looked_at = time.monotonic()
        try:
            connection = self._connection or self._connect()
            if self._leads:
                connection.execute(text("SELECT 1"))
            else:
                self._leads = bool(connection.scalar(select(self._lock)))
        except SQLAlchemyError as error:
            log.warning("leader_unknown", error=type(error).__name__)
            self.resign()
        return self._leads

    def led(self) -> bool:
        """Whether it did when `leads` was asked last: for threads other than the one that asks."""
        return self._leads

    def resign(self) -> None:
        """Leave the post to the others."""
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection:
        connection = self._database.engine.connect()
        connection.detach()  # from the pool: what is set here is for nobody else
        connection.execute(text(f"SET idle_session_timeout = '{SILENCE}'"))
        self._connection = connection
        return connection

"""Which one of many processes does what only one need do."""

from __future__ import annotations

import time

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database, Driver

SILENCE = "5s"
"""After so long without a word from its holder Postgres frees the post: whoever hangs does not lead."""

TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
STILL_THERE = "SELECT true"

CERTAIN_SECONDS = 1.0
"""Who has just looked relies on it: chores come several times a second, and may wait for one."""

log = structlog.get_logger(__name__)


class Leader:
    """A post that one process holds at a time: an advisory lock on a connection of its own.

    It saves work and guards nothing: for a moment two may believe that they hold it.
    """

    def __init__(self, database: Database, post: str) -> None:
        self._database = database
        self._post = post
        self._driver: Driver | None = None
        self._leads = False
        self._looked_at = -CERTAIN_SECONDS

    def leads(self) -> bool:
        """Whether the post is this process's; to be asked more often than SILENCE. Never raises."""
        if time.monotonic() - self._looked_at < CERTAIN_SECONDS:
            return self._leads
        self._looked_at = time.monotonic()
        try:
            self._leads = self._looks()
        except (SQLAlchemyError, psycopg.Error) as error:
            log.warning("leader_unknown", error=type(error).__name__)
            self.resign()
        return self._leads

    def led(self) -> bool:
        """Whether it did when `leads` was asked last: for threads other than the one that asks."""
        return self._leads

    def resign(self) -> None:
        """Leave the post to the others."""
        driver, self._driver, self._leads = self._driver, None, False
        if driver is not None:
            driver.close()

    def _looks(self) -> bool:
        driver = self._driver or self._connect()
        [[leads]] = driver.execute(STILL_THERE) if self._leads else driver.execute(TRY, [self._post])
        return bool(leads)

    def _connect(self) -> Driver:
        driver = self._driver = self._database.own_driver()
        driver.execute(f"SET idle_session_timeout = '{SILENCE}'")
        return driver

"""Which one of many processes does what only one need do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
import structlog
from sqlalchemy import bindparam, func, literal_column, select, true
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database, Driver
from core.prepared import Prepared

SILENCE = "5s"
"""After so long without a word from its holder Postgres frees the post: whoever hangs does not lead."""

CERTAIN_SECONDS = 1.0
"""Who has just looked relies on it: chores come several times a second, and may wait for one."""

TRY = Prepared(
    select(func.pg_try_advisory_lock(func.hashtextextended(bindparam("post"), literal_column("0"))))
)
STILL_THERE = Prepared(select(true()))

T = TypeVar("T")

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
        if time.monotonic() - self._looked_at >= CERTAIN_SECONDS:
            self._leads = bool(self._answer(_still_there if self._leads else self._try))
        return self._leads

    def ask(self, look: Callable[[Driver], T]) -> T | None:
        """What a look finds, where the post is this process's: to have an answer is to lead. Never raises.

        It takes the connection that holds the post, and so keeps it.
        """
        return self._answer(look) if self.leads() else None

    def led(self) -> bool:
        """Whether it did when `leads` was asked last: for threads other than the one that asks."""
        return self._leads

    def resign(self) -> None:
        """Leave the post to the others."""
        driver, self._driver, self._leads = self._driver, None, False
        if driver is not None:
            driver.close()

    def _answer(self, look: Callable[[Driver], T]) -> T | None:
        self._looked_at = time.monotonic()
        try:
            return look(self._driver or self._connect())
        except (SQLAlchemyError, psycopg.Error) as error:
            log.warning("leader_unknown", error=type(error).__name__)
            self.resign()
            return None

    def _try(self, driver: Driver) -> bool:
        return TRY.holds(driver, {"post": self._post})

    def _connect(self) -> Driver:
        driver = self._driver = self._database.own_driver()
        driver.execute(f"SET idle_session_timeout = '{SILENCE}'")
        return driver


def _still_there(driver: Driver) -> bool:
    return STILL_THERE.holds(driver)

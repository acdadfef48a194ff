"""Connections and transactions; the one place where a commit happens.

A unit of work is `with database.transaction() as session:`. What must leave only when it has committed
(doorbells, events) is registered with `after_commit` and runs once, after the connection went back. Where one
statement is all there is to do, `database.statement()` saves a session, and the trips that begin and end a
transaction. `database.driver()` is for the few that are run for every item: see `core.prepared`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import structlog
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from core.errors import Unavailable

CONNECT_SECONDS = 5
SETTINGS = {
    "statement_timeout": "30s",
    "timezone": "UTC",
    "enable_seqscan": "off",
}
"""Of each connection. Plans of prepared statements last: one that was made while a table had sixty rows reads
all of it, and took 80 ms for 1 once there were 100,000, until Postgres analysed the table a minute later."""
REST_SECONDS = 1.0
RETRY_AFTER = 5.0
PASSING = ("08", "25006", "40", "53", "57", "58")
"""SQLSTATE beginnings: connection, read-only server, rollback, no resources, operator, system
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

log = structlog.get_logger(__name__)

Driver = psycopg.Connection[tuple[Any, ...]]


class Database:
    """A pool of connections to Postgres; opened lazily, so it may be made before a fork and used after."""

    def __init__(self, url: str, *, pool_size: int, name: str) -> None:
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,  # the connection used last has its statements prepared, and needs no test
            pool_timeout=CONNECT_SECONDS,
            isolation_level="AUTOCOMMIT",  # as most are used; `transaction` switches while it lasts
            skip_autocommit_rollback=True,
            hide_parameters=True,  # questions and answers are nobody's business in a log
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "application_name": f"vitrine-{name}",
                "options": " ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
            },
        )
        event.listen(self.engine, "checkin", _note_rest)
        event.listen(self.engine, "checkout", _look_after_rest)
        in_transactions = self.engine.execution_options(isolation_level="READ COMMITTED")
        self._sessions = sessionmaker(in_transactions, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One unit of work: commits at the end, or not at all. Raises Unavailable without a database."""
        with _translated(), self._sessions.begin() as session:
            yield session
        for callback in session.info.pop("after_commit", ()):
            callback()

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """For one statement without entities, which Postgres commits by itself. Raises Unavailable."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def long_statements(self) -> Iterator[Connection]:
        """A connection of its own, each statement of which Postgres commits by itself. Raises Unavailable.

        It belongs to no pool: what is set there, and held, ends with the block.
        """
        with _translated(), self.engine.connect() as connection:
            connection.detach()
            yield connection

    @contextmanager
    def driver(self) -> Iterator[Driver]:
        """The driver's connection, for a `Prepared` that Postgres commits by itself. Raises Unavailable."""
        with _translated():
            connection = self.engine.raw_connection()
            driver = cast("Driver", connection.driver_connection)
            try:
                yield driver
            finally:
                if driver.closed:
                    connection.invalidate()
                connection.close()

    def own_driver(self) -> Driver:
        """A driver's connection that is in no pool: who asks for it closes it. Raises SQLAlchemyError."""
        connection = self.engine.raw_connection()
        driver = cast("Driver", connection.driver_connection)
        connection.detach()
        return driver

    def ping(self) -> None:
        """Raises Unavailable unless the database answers."""
        with self.statement() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Run the callback when this session's transaction has committed; never if it rolls back.

    The work is durable by then, so a callback must not raise: what it fails to send is only late.
    """
    session.info.setdefault("after_commit", []).append(callback)


def _note_rest(_connection: Any, record: Any) -> None:
    record.info["since"] = time.monotonic()


def _look_after_rest(connection: Any, record: Any, _proxy: Any) -> None:
    """Test a connection that rested, so that a restarted Postgres costs a reconnect, not a failed request.

    SQLAlchemy's own `pool_pre_ping` looks at every use, which was a third of the cost of a short transaction.
    """
    if time.monotonic() - record.info.get("since", time.monotonic()) < REST_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise InvalidatePoolError from error  # the pool connects anew


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated or _passes(error.orig):
            raise _unavailable(error) from error
        raise
    except psycopg.Error as error:
        if _passes(error):
            raise _unavailable(error) from error
        raise


def _passes(error: BaseException | None) -> bool:
    """Whether the trouble is the server's and not the statement's, and will pass."""
    state = str(getattr(error, "sqlstate", None) or "")
    return isinstance(error, psycopg.OperationalError) or state.startswith(PASSING)


def _unavailable(error: Exception) -> Unavailable:
    log.warning("database_unavailable", error=type(error).__name__)
    return Unavailable("The database does not answer: try again shortly.", retry_after=RETRY_AFTER)

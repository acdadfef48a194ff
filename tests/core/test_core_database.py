"""Connections that break between uses."""

import time

import pytest
from sqlalchemy import text

from core.db import REST_SECONDS, Database
from core.errors import Unavailable

TERMINATE = text("SELECT pg_terminate_backend(:pid)")
OWN_PID = text("SELECT pg_backend_pid()")


def pid_of(database: Database) -> int:
    with database.transaction() as session:
        return int(session.execute(OWN_PID).scalar_one())


@pytest.fixture
def broken(servers):
    """A database whose one connection was ended by the server while it rested."""
    database = Database(servers[0], pool_size=1, name="test")
    other = Database(servers[0], pool_size=1, name="other")
    pid = pid_of(database)
    with other.transaction() as session:
        session.execute(TERMINATE, {"pid": pid})
    yield database
    database.close()
    other.close()


def test_a_connection_that_broke_while_it_rested_costs_no_transaction(broken):
    time.sleep(REST_SECONDS)
    assert pid_of(broken)


def test_a_connection_that_broke_just_now_is_unavailable_once(broken):
    with pytest.raises(Unavailable):
        pid_of(broken)
    assert pid_of(broken)

"""Connections that break between uses."""

import time
from contextlib import suppress

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import ARRAY, Integer, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB

from core.db import REST_SECONDS, Database
from core.errors import Unavailable
from core.prepared import Prepared

TERMINATE = text("SELECT pg_terminate_backend(:pid)")
OWN_PID = text("SELECT pg_backend_pid()")
PREPARED = Prepared(
    select(
        (bindparam("number", type_=Integer) + 3).label("sum"),
        bindparam("list", type_=ARRAY(Text)).label("list"),
        bindparam("value", type_=JSONB(none_as_null=True)).label("value"),
    )
)


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


def test_a_statement_on_a_connection_that_broke_just_now_is_unavailable_too(broken):
    with pytest.raises(Unavailable), broken.statement() as connection:
        connection.execute(OWN_PID)
    broken.ping()


def test_a_prepared_statement_on_a_connection_that_broke_just_now_is_unavailable_too(broken):
    with pytest.raises(Unavailable), broken.driver() as driver:
        PREPARED.one(driver, {"number": 1, "list": [], "value": None})
    with broken.driver() as driver:  # the pool has forgotten it
        assert PREPARED.one(driver, {"number": 1, "list": [], "value": None})


def test_a_prepared_statement_takes_values_as_its_types_say(broken):
    broken.engine.dispose()
    with broken.driver() as driver:
        given = {"number": 2, "list": ["it's", "100 %"], "value": {"key": [None, "ä"]}}
        assert PREPARED.one(driver, given) == (5, ["it's", "100 %"], {"key": [None, "ä"]})
        nothing = {"number": 2, "list": [], "value": None}
        assert PREPARED.first(driver, nothing, dict_row) == {"sum": 5, "list": [], "value": None}


def test_a_statement_that_is_another_for_each_list_is_not_prepared():
    with pytest.raises(ValueError, match="array"):
        Prepared(select(bindparam("number", type_=Integer).in_([1, 2])))


def test_a_fault_of_a_prepared_statement_is_not_taken_for_one_of_the_server(broken):
    broken.engine.dispose()
    with pytest.raises(psycopg.DataError), broken.driver() as driver:
        PREPARED.one(driver, {"number": 2**40, "list": [], "value": None})


def test_a_connection_that_rested_still_has_its_statements_prepared(servers):
    """Planning anew is most of what a short statement costs."""
    database = Database(servers[0], pool_size=1, name="test")
    prepared = text("SELECT count(*) FROM pg_prepared_statements")
    for _ in range(6):  # as often as the driver wants to see one
        with database.transaction() as session:
            session.execute(prepared)
    time.sleep(REST_SECONDS)
    with database.transaction() as session:
        assert session.execute(prepared).scalar_one() == 1
    database.close()


def test_a_statement_is_committed_and_the_next_transaction_on_its_connection_still_rolls_back(servers):
    database = Database(servers[0], pool_size=1, name="test")
    with database.statement() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE kept (number int)"))
    with suppress(ZeroDivisionError), database.transaction() as session:
        session.execute(text("INSERT INTO kept VALUES (1)"))
        raise ZeroDivisionError
    with database.statement() as connection:
        assert connection.scalar(text("SELECT count(*) FROM kept")) == 0
    database.close()

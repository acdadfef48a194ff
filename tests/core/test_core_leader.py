"""One process leads; when it goes, hangs or loses its connection, another does."""

import pytest
from sqlalchemy import text
from waiting import wait_until

from core.db import Database
from core.leader import Leader

CUT_OFF = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")


@pytest.fixture
def two(servers, monkeypatch):
    monkeypatch.setattr("core.leader.CERTAIN_SECONDS", 0)
    databases = [Database(servers[0], pool_size=2, name=name) for name in ("one", "other")]
    leaders = [Leader(database, "test") for database in databases]
    yield leaders
    for leader, database in zip(leaders, databases, strict=True):
        leader.resign()
        database.close()


def test_only_one_leads_however_often_it_is_asked(two):
    one, other = two
    assert [one.leads(), other.leads(), one.leads(), other.leads()] == [True, False, True, False]


def test_who_resigns_is_followed_by_another(two):
    one, other = two
    assert one.leads()
    one.resign()
    assert other.leads()
    assert not one.leads()


def test_who_is_cut_off_is_followed_by_another_and_does_not_believe_to_lead(two, servers):
    one, other = two
    assert one.leads()
    end = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vitrine-one'"
    )
    with other._database.transaction() as session:
        session.execute(end)
    assert other.leads()
    assert not one.leads()
    assert not one.leads()


def test_who_hangs_loses_the_post(two, monkeypatch):
    one, other = two
    monkeypatch.setattr("core.leader.SILENCE", "100ms")
    assert one.leads()
    wait_until(other.leads)


def test_only_who_leads_is_answered_and_whose_connection_is_cut_off_is_not(two):
    one, other = two
    assert [leader.ask(lambda _: "found") for leader in two] == ["found", None]
    assert one.ask(lambda driver: driver.execute("SELECT 1").fetchone()) == (1,)
    one._driver.close()
    assert one.ask(lambda driver: driver.execute("SELECT 1").fetchone()) is None
    assert other.ask(lambda _: "found") == "found"

"""Nothing is lost and nothing is paid twice, whatever breaks: counted from rows, books and ledger.

Real processes; the same scenarios with larger counts are `python3 dev bench faults`.
"""

import pytest

from bench import faults
from bench._faults_disk import CannotMount

pytestmark = pytest.mark.faults


def kept(vitrine, name):
    outcome = faults.SCENARIOS[name].quick(vitrine)
    assert outcome.broken == [], outcome


def test_killed_workers_lose_nothing_and_what_is_paid_again_is_on_the_books(brief):
    kept(brief, "kills")


def test_an_item_that_kills_its_workers_fails_alone(brief):
    kept(brief, "poison")


def test_a_wrong_clock_makes_no_sweep_early_or_late(brief):
    kept(brief, "clocks")


def test_stopped_workers_lose_nothing_and_nothing_is_asked_twice(steady):
    kept(steady, "stops")


def test_redis_may_be_wiped_killed_or_hang(steady):
    kept(steady, "redis")


def test_what_was_accepted_outlives_immediate_restarts_of_postgres(steady):
    kept(steady, "postgres")


def test_an_endpoint_that_misbehaves_in_every_way_brings_every_item_to_an_end(steady):
    kept(steady, "endpoint")


def test_a_full_disk_refuses_work_and_recovers_by_itself():
    try:
        outcome = faults.run("disk", quick=True)
    except CannotMount as reason:
        pytest.skip(str(reason))
    assert outcome.broken == [], outcome

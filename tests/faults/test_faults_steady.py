"""What stops, hangs or misbehaves loses nothing, and nothing is paid twice; see test_faults_brief."""

import pytest

pytestmark = pytest.mark.faults


def test_stopped_workers_lose_nothing_and_nothing_is_asked_twice(steady, kept):
    kept(steady, "stops")


def test_redis_may_be_wiped_killed_or_hang(steady, kept):
    kept(steady, "redis")


def test_what_was_accepted_outlives_immediate_restarts_of_postgres(steady, kept):
    kept(steady, "postgres")


def test_an_endpoint_that_misbehaves_in_every_way_brings_every_item_to_an_end(steady, kept):
    kept(steady, "endpoint")

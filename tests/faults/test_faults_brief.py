"""What dies loses nothing, and nothing is paid twice: counted from rows, books and ledger.

Real processes; the same scenarios with larger counts are `python3 dev bench faults`.
"""

import pytest

from bench import faults
from bench._faults_disk import CannotMount

pytestmark = pytest.mark.faults


def test_killed_workers_lose_nothing_and_what_is_paid_again_is_on_the_books(brief, kept):
    kept(brief, "kills")


def test_an_item_that_kills_its_workers_fails_alone(brief, kept):
    kept(brief, "poison")


def test_a_wrong_clock_makes_no_sweep_early_or_late(brief, kept):
    kept(brief, "clocks")


def test_a_full_disk_refuses_work_and_recovers_by_itself():
    try:
        outcome = faults.run("disk", quick=True)
    except CannotMount as reason:
        pytest.skip(str(reason))
    assert outcome.broken == [], outcome

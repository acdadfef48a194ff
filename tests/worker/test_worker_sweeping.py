"""What time breaks, the sweep mends: dead leases, passed deadlines, lost bells."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from endpoint import completion
from sqlalchemy import func, update

from core.errors import InternalError
from core.models import Call
from core.pricing import WorstCase
from core.services import analyses, outcomes
from core.services.outcomes import Closing

PAST = func.now() - timedelta(seconds=1)


@pytest.fixture
def sweep(desk):
    def run(bells_waiting=None):
        outcomes.sweep(desk, bells_waiting=bells_waiting)

    return run


def test_only_one_of_many_workers_gets_a_row(shop, desk):
    analysis_id = shop.submit()
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: outcomes.claim(desk, analysis_id, f"w{n}"), range(8)))
    assert len([claim for claim in claims if claim is not None]) == 1


def test_a_dead_lease_is_queued_again_and_its_open_call_kept_at_the_worst_case(shop, desk, sweep):
    analysis_id = shop.submit()
    claimed = outcomes.claim(desk, analysis_id, "doomed")
    outcomes.reserve(desk, claimed, WorstCase(tokens=1_000, cost=1), [])
    sweep()
    assert shop.look(analysis_id).state == "running"
    shop.change(analysis_id, lease_until=PAST)
    sweep()
    row = shop.look(analysis_id)
    assert (row.state, row.lease_expiries, row.rung_at, row.prompt_cost) == ("queued", 1, None, 1)
    assert [call.state for call in shop.calls(analysis_id)] == ["unknown"]


def test_an_analysis_that_outlives_three_workers_fails(shop, desk, sweep):
    analysis_id = shop.submit()
    for last_try in (False, False, True):
        assert outcomes.claim(desk, analysis_id, "doomed", last_try=last_try) is not None
        shop.change(analysis_id, lease_until=PAST)
        sweep()
    row = shop.look(analysis_id)
    assert (row.state, row.error_code, row.lease_expiries) == ("failed", "worker_crash", 3)


def test_a_passed_deadline_expires_what_waits_and_what_runs(shop, desk, sweep):
    waiting, running = shop.submit(), shop.submit()
    assert outcomes.claim(desk, running, "slow") is not None
    for analysis_id in (waiting, running):
        shop.change(analysis_id, deadline_at=PAST)
    assert outcomes.claim(desk, waiting, "late") is None
    sweep()
    assert [shop.look(analysis_id).state for analysis_id in (waiting, running)] == ["expired", "expired"]


def test_rows_that_wait_beside_an_empty_queue_are_rung_again(shop, desk):
    lost, fresh = shop.submit(), shop.submit()
    shop.change(lost, rung_at=func.now() - timedelta(seconds=6))
    assert lost not in outcomes.sweep(desk, bells_waiting=3)
    rung = outcomes.sweep(desk, bells_waiting=0)
    assert lost in rung
    assert fresh not in rung
    assert lost not in outcomes.sweep(desk, bells_waiting=0)


def test_a_retry_is_rung_when_it_is_due_however_full_the_queue(shop, desk, script):
    script.say({"error": {"message": "slow"}}, 429, Retry_After="60")
    row = shop.ask()
    assert row.id not in outcomes.sweep(desk, bells_waiting=3)
    shop.change(row.id, next_attempt_at=func.now())
    assert row.id in outcomes.sweep(desk, bells_waiting=3)


def test_a_heartbeat_keeps_only_leases_that_are_still_held(shop, desk):
    mine, lost = shop.submit(), shop.submit(cache="off")
    claims = [outcomes.claim(desk, analysis_id, "w") for analysis_id in (mine, lost)]
    shop.change(lost, fence=99)
    held = outcomes.renew(desk, {claim.id: claim.fence for claim in claims})
    assert held == {mine}


def test_a_row_beside_a_queue_that_never_empties_is_rung_again_after_a_minute(shop, desk):
    lost = shop.submit()
    shop.change(lost, rung_at=func.now() - timedelta(seconds=61))
    assert lost in outcomes.sweep(desk, bells_waiting=3)


def test_a_queue_tells_how_many_bells_wait_in_it(shop, desk):
    before = desk.doorbell.waiting("interactive")
    shop.submit()
    assert desk.doorbell.waiting("interactive") == before + 1


def test_an_open_call_of_a_cancelled_analysis_whose_worker_died_is_closed_at_its_worst_case(
    shop, desk, sweep
):
    analysis_id = shop.submit()
    claimed = outcomes.claim(desk, analysis_id, "doomed")
    call_id = outcomes.reserve(desk, claimed, WorstCase(tokens=1_000, cost=1), [])
    analyses.cancel(desk, shop.key.account_id, analysis_id)
    sweep()
    assert [call.state for call in shop.calls(analysis_id)] == ["reserved"]
    with desk.database.transaction() as session:
        old = func.now() - timedelta(hours=1)
        session.execute(update(Call).where(Call.id == call_id).values(created_at=old))
    sweep()
    assert [call.state for call in shop.calls(analysis_id)] == ["unknown"]
    assert shop.look(analysis_id).prompt_cost == 1


def test_a_call_closed_for_good_stays_as_it_was_closed(shop, script, desk):
    script.say(completion("hi"))
    row = shop.ask()
    [call] = shop.calls(row.id)
    outcomes.close(desk, row, Closing.refused(call.id, InternalError()))
    assert [call.state for call in shop.calls(row.id)] == ["settled"]
    assert shop.look(row.id).prompt_tokens == 100

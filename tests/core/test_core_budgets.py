"""Budgets are what the books say at any moment, and no call goes beyond one, however many try at once."""

import contextlib
import dataclasses
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_shop import FAULT, WORST, Shop, settled
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH
from sqlalchemy import func

from core.db import Database
from core.errors import BudgetExceeded, BudgetSetAside, InvalidRequest, WrongState
from core.models import BudgetKind
from core.pricing import WorstCase
from core.services import batches, dispatching, outcomes
from core.services.outcomes import Closing

MONTH, DAY, CAP = BudgetKind.MONTHLY_USD, BudgetKind.DAILY_TOKENS, BudgetKind.MAX_COST


def test_a_call_sets_its_worst_case_aside_and_gives_back_what_it_did_not_take(desk):
    shop = Shop(desk, monthly_usd=1, daily_tokens=5_000)
    claimed, call_id = shop.enter()
    assert (shop.used(MONTH), shop.used(DAY)) == (Decimal("0.10"), 1_000)
    shop.settle(claimed, call_id, tokens=300, cost="0.02")
    assert (shop.used(MONTH), shop.used(DAY)) == (Decimal("0.02"), 300)


@pytest.mark.parametrize(
    ("close", "left"),
    [
        (lambda call_id: Closing.refused(call_id, FAULT), 0),
        (lambda call_id: Closing.unknown(call_id, FAULT), Decimal("0.10")),
    ],
)
def test_a_refused_call_gives_all_back_and_an_unanswered_one_nothing(desk, close, left):
    shop = Shop(desk, monthly_usd=1, daily_tokens=5_000)
    claimed, call_id = shop.enter()
    outcomes.fail(desk, claimed, FAULT, close(call_id))
    assert shop.used(MONTH) == left
    assert shop.wrong_sums() == []


def test_an_answer_that_comes_after_all_takes_the_place_of_the_worst_case(desk):
    shop = Shop(desk, monthly_usd=1)
    claimed, call_id = shop.enter()
    outcomes.close(desk, claimed, Closing.unknown(call_id, FAULT))
    shop.settle(claimed, call_id, cost="0.03")
    assert shop.used(MONTH) == Decimal("0.03")


def test_a_refusal_that_comes_after_all_costs_nothing(desk):
    shop = Shop(desk, monthly_usd=1)
    claimed, call_id = shop.enter()
    outcomes.close(desk, claimed, Closing.unknown(call_id, FAULT))
    outcomes.fail(desk, claimed, FAULT, Closing.refused(call_id, FAULT))
    assert shop.used(MONTH) == 0
    assert shop.wrong_sums() == []


def test_a_call_is_closed_once_for_its_budget_too(desk):
    shop = Shop(desk, monthly_usd=1)
    claimed, call_id = shop.enter()
    for _ in range(3):
        outcomes.close(desk, claimed, settled(call_id, cost="0.03"))
    assert shop.used(MONTH) == Decimal("0.03")


def test_what_would_go_beyond_is_not_entered_and_sets_nothing_aside(desk):
    shop = Shop(desk, monthly_usd=100, daily_tokens=1_500)
    _, first = shop.enter()
    claimed = shop.claim()
    with pytest.raises(BudgetSetAside):  # some of it may come back
        shop.enter(claimed)
    outcomes.close(desk, claimed, settled(first, tokens=600))
    with pytest.raises(BudgetExceeded) as caught:
        shop.enter(claimed)
    assert not isinstance(caught.value, BudgetSetAside)
    assert "600 tokens of 1,500 tokens are spent" in caught.value.message
    assert 0 < caught.value.retry_after <= 86_400
    assert (shop.used(MONTH), shop.used(DAY)) == (Decimal("0.01"), 600)
    assert shop.wrong_sums() == []


def test_who_lost_the_lease_sets_nothing_aside(desk):
    shop = Shop(desk, monthly_usd=1)
    claimed = shop.claim()
    with pytest.raises(WrongState):
        shop.enter(dataclasses.replace(claimed, fence=99))
    assert shop.used(MONTH) == 0


def test_a_model_without_a_price_is_not_asked_under_a_budget_in_usd_but_under_one_in_tokens(desk):
    unpriced = WorstCase(tokens=1_000, cost=None)
    with pytest.raises(InvalidRequest, match="has no price"):
        Shop(desk, monthly_usd=1).enter(worst=unpriced)
    in_tokens = Shop(desk, daily_tokens=1_000)
    in_tokens.enter(worst=unpriced)
    assert in_tokens.used(DAY) == 1_000


def test_another_period_begins_with_nothing_used_and_old_calls_do_not_count_in_it(desk):
    shop = Shop(desk, monthly_usd="0.15", daily_tokens=1_500)
    old_claim, old = shop.enter()
    shop.change_call(old, created_at=func.now() - timedelta(days=40))
    shop.change_budget(period=date(2020, 1, 1))
    shop.enter()
    assert (shop.used(MONTH), shop.used(DAY)) == (Decimal("0.10"), 1_000)
    shop.settle(old_claim, old)
    assert (shop.used(MONTH), shop.used(DAY)) == (Decimal("0.10"), 1_000)
    assert shop.wrong_sums() == []


def test_a_budget_that_is_new_begins_with_what_the_books_say(desk):
    shop = Shop(desk)
    claimed, call_id = shop.enter()
    shop.settle(claimed, call_id, tokens=300, cost="0.02")
    shop.enter()
    shop.limit(monthly_usd="0.5", daily_tokens=10_000)
    assert (shop.used(MONTH), shop.used(DAY)) == (Decimal("0.12"), 1_300)
    shop.limit(monthly_usd=None)
    assert shop.used(MONTH) is None
    shop.enter()
    shop.limit(monthly_usd=1)
    assert shop.used(MONTH) == Decimal("0.22")
    assert shop.wrong_sums() == []


def test_however_many_try_at_once_only_as_many_calls_as_there_is_money_for_are_made(desk, settings):
    shop = Shop(desk, monthly_usd=5, daily_tokens=10**9)
    claims = [shop.claim() for _ in range(80)]
    wide = dataclasses.replace(desk, database=Database(settings.database_url, pool_size=32, name="wide"))

    def enter(claimed):
        try:
            return outcomes.reserve(wide, claimed, WORST, [])
        except BudgetExceeded:
            return None

    with ThreadPoolExecutor(32) as pool:
        made = [call_id for call_id in pool.map(enter, claims) if call_id]
    wide.database.close()
    assert len(made) == 50
    assert shop.used(MONTH) == 5
    assert shop.wrong_sums() == []


def test_a_budget_set_while_calls_are_entered_and_closed_misses_none_of_them(desk, settings):
    shop = Shop(desk)
    claims = [shop.claim() for _ in range(120)]
    wide = dataclasses.replace(desk, database=Database(settings.database_url, pool_size=16, name="wide"))

    def work(claimed):
        call_id = outcomes.reserve(wide, claimed, WORST, [])
        if random.random() < 0.7:
            outcomes.close(wide, claimed, settled(call_id))

    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(work, claimed) for claimed in claims]
        for most in (1_000, None, 2_000, None, 3_000):
            shop.limit(monthly_usd=most, daily_tokens=None if most is None else 10**9)
        for future in futures:
            future.result()
    wide.database.close()
    assert shop.wrong_sums() == []
    assert shop.used(MONTH) > 0


STEPS = (
    "settle",
    "refuse",
    "unknown",
    "close",
    "lapse",
    "give_up",
    "orphan",
    "limit",
    "limit anew",
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "enter", *STEPS]), st.integers(0, 9)), min_size=3, max_size=25
    )
)
def test_whatever_happens_to_calls_budgets_are_the_sum_of_the_books(desk, steps):
    shop = Shop(desk, monthly_usd="0.75", daily_tokens=7_000)
    batch_id = shop.batch(max_cost="0.45")
    made = []
    for number, (step, which) in enumerate(steps):
        _take(shop, batch_id, made, step, which, number)
        assert shop.wrong_sums() == []
        assert (shop.used(CAP, batch_id) or 0) <= Decimal("0.45")


def _take(shop, batch_id, made, step, which, number):
    """One step of the test above, upon one of the calls that were made."""
    if step == "enter" or not made:
        _enter(shop, batch_id if which % 2 else None, made, number)
    else:
        claimed, call_id = made[which % len(made)]
        DONE[step](shop, claimed, call_id, which)


def _enter(shop, batch_id, made, number):
    with contextlib.suppress(BudgetExceeded):
        made.append(shop.enter(shop.claim(batch_id, number if batch_id else None)))
    if batch_id:
        batches.resume(shop.desk, shop.key.account_id, batch_id)


def _settle(shop, claimed, call_id, which):
    shop.settle(claimed, call_id, tokens=which * 100, cost=f"0.0{which}")


def _refuse(shop, claimed, call_id, which):
    outcomes.retry(shop.desk, claimed, FAULT, Closing.refused(call_id, FAULT), seconds=0, counts=True)


def _unknown(shop, claimed, call_id, which):
    outcomes.fail(shop.desk, claimed, FAULT, Closing.unknown(call_id, FAULT))


def _close(shop, claimed, call_id, which):
    outcomes.close(shop.desk, claimed, settled(call_id))


def _lapse(shop, claimed, call_id, which):
    shop.change_analysis(claimed.id, lease_until=func.now() - timedelta(seconds=1))
    outcomes.sweep(shop.desk, bells_waiting=None)


def _give_up(shop, claimed, call_id, which):
    outcomes.fail(shop.desk, claimed, FAULT, None)


def _orphan(shop, claimed, call_id, which):
    shop.change_analysis(claimed.id, fence=99)
    shop.change_call(call_id, created_at=func.now() - timedelta(minutes=10))
    outcomes.sweep(shop.desk, bells_waiting=None)


def _limit(shop, claimed, call_id, which):
    shop.limit(monthly_usd=f"0.{which + 1}", daily_tokens=(which + 1) * 1_000)


def _limit_anew(shop, claimed, call_id, which):
    shop.limit(monthly_usd=None, daily_tokens=None)
    shop.limit(monthly_usd=1, daily_tokens=7_000)


DONE = {
    "settle": _settle,
    "refuse": _refuse,
    "unknown": _unknown,
    "close": _close,
    "lapse": _lapse,
    "give_up": _give_up,
    "orphan": _orphan,
    "limit": _limit,
    "limit anew": _limit_anew,
}


def test_a_batch_over_its_cap_is_paused_and_its_items_wait_without_a_try(desk):
    shop = Shop(desk)
    batch_id = shop.batch(max_cost="0.25")
    made = [shop.enter(shop.claim(batch_id, position)) for position in range(2)]
    for claimed, call_id in made:
        outcomes.succeed(desk, claimed, outcomes.Answer("x", None, None, None), settled(call_id, cost="0.09"))
    claimed = shop.claim(batch_id, 2)
    with pytest.raises(BudgetExceeded) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    standing = batches.get(desk, shop.key.account_id, batch_id)
    assert (standing.batch.state, standing.max_cost) == ("paused", Decimal("0.25"))
    assert "max_cost of this batch has no room left for this call" in standing.batch.reason
    assert standing.tally.states == {"completed": 2, "queued": 1}
    item = batches.results(desk, shop.key.account_id, batch_id, after=1, limit=1, state=None)[0][0]
    assert (item.attempts, item.rung_at) == (0, None)

    dispatching.move_on(desk)
    assert batches.get(desk, shop.key.account_id, batch_id).batch.state == "paused"
    resumed = batches.resume(desk, shop.key.account_id, batch_id, {CAP: Decimal("0.30")})
    assert (resumed.batch.state, resumed.batch.reason, resumed.max_cost) == ("running", None, Decimal("0.30"))
    shop.enter(outcomes.claim(desk, item.id, "w"))


def test_a_batch_whose_budget_is_only_set_aside_runs_on_as_soon_as_some_comes_back(desk):
    shop = Shop(desk, monthly_usd="0.15")
    batch_id = shop.batch(items=1)
    other, other_call = shop.enter()
    claimed = shop.claim(batch_id, 1)
    with pytest.raises(BudgetSetAside) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    held = batches.get(desk, shop.key.account_id, batch_id).batch
    assert (held.state, held.needed_tokens) == ("running", 1_000)
    assert outcomes.claim(desk, claimed.id, "w") is None  # nothing is dispatched meanwhile
    shop.settle(other, other_call)
    dispatching.move_on(desk)
    assert batches.get(desk, shop.key.account_id, batch_id).batch.needed_tokens is None
    shop.enter(outcomes.claim(desk, claimed.id, "w"))


def test_a_batch_that_waits_in_vain_for_what_is_set_aside_is_paused(desk):
    shop = Shop(desk, monthly_usd="0.15")
    batch_id = shop.batch(items=1)
    other, other_call = shop.enter()
    claimed = shop.claim(batch_id, 1)
    with pytest.raises(BudgetSetAside) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    shop.settle(other, other_call, cost="0.10")
    dispatching.move_on(desk)
    claimed = outcomes.claim(desk, claimed.id, "w")
    with pytest.raises(BudgetExceeded) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    assert batches.get(desk, shop.key.account_id, batch_id).batch.state == "paused"


@pytest.fixture
def paused(desk):
    shop = Shop(desk, monthly_usd="0.15")
    done, call_id = shop.enter()
    shop.settle(done, call_id, cost="0.08")
    batch_id = shop.batch(items=1)
    claimed = shop.claim(batch_id, 1)
    with pytest.raises(BudgetExceeded) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    state = lambda: batches.get(desk, shop.key.account_id, batch_id).batch.state  # noqa: E731
    assert state() == "paused"
    return shop, batch_id, state


def test_a_raised_limit_resumes_a_batch(desk, paused):
    shop, _, state = paused
    dispatching.move_on(desk)
    assert state() == "paused"
    shop.limit(monthly_usd="0.20")
    dispatching.move_on(desk)
    assert state() == "running"


def test_another_month_resumes_a_batch(desk, paused):
    shop, _, state = paused
    shop.change_budget(period=date(2020, 1, 1))
    dispatching.move_on(desk)
    assert state() == "running"


def test_a_batch_that_its_client_paused_is_left_paused_whatever_its_budget(desk, paused):
    shop, batch_id, state = paused
    batches.pause(desk, shop.key.account_id, batch_id)
    shop.limit(monthly_usd="5")
    dispatching.move_on(desk)
    assert state() == "paused"
    assert batches.get(desk, shop.key.account_id, batch_id).batch.reason == "paused by the client"


def test_a_batch_resumed_over_its_budget_pauses_again_with_its_first_call(desk, paused):
    shop, batch_id, state = paused
    batches.resume(desk, shop.key.account_id, batch_id)
    assert state() == "running"
    claimed = shop.claim(batch_id, 2)
    with pytest.raises(BudgetExceeded) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    assert state() == "paused"


def test_an_analysis_waits_for_what_is_set_aside_and_fails_when_all_is_spent(desk):
    shop = Shop(desk, monthly_usd="0.15")
    other, other_call = shop.enter()
    claimed = shop.claim()
    with pytest.raises(BudgetSetAside) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    assert outcomes.claim(desk, claimed.id, "w") is None  # not yet
    shop.settle(other, other_call, cost="0.12")
    shop.change_analysis(claimed.id, next_attempt_at=func.now())
    claimed = outcomes.claim(desk, claimed.id, "w")
    assert claimed.attempts == 0
    with pytest.raises(BudgetExceeded) as caught:
        shop.enter(claimed)
    outcomes.unpaid(desk, claimed, caught.value)
    with desk.database.transaction() as session:
        row = session.get(outcomes.analyses.Analysis, claimed.id)
    assert (row.state, row.error_code) == ("failed", "budget_exceeded")


def test_the_statements_of_every_call_are_short_enough_for_the_driver_to_remember_them(desk, statements):
    """Longer ones are taken apart anew each time, which costs a worker as much as all the rest of them."""
    shop = Shop(desk)
    claimed = shop.claim()
    with statements() as seen:
        shop.settle(*shop.enter(claimed))
    assert len(seen) == 2  # the call, and its outcome: as many as without budgets
    assert max(map(len, seen)) <= MAX_CACHED_STATEMENT_LENGTH

"""The audit tells what does not agree, and nothing where all does."""

import tracemalloc
from datetime import timedelta
from decimal import Decimal

import pytest
from ledger_shop import Shop
from sqlalchemy import func, insert, text

from core.errors import NotFound
from core.ids import new_id
from core.models import Call
from core.services import audit, outcomes
from core.services.outcomes import analyses

LONG_AGO = func.now() - timedelta(hours=1)


@pytest.fixture
def shop(desk):
    return Shop(desk, monthly_usd=10)


@pytest.fixture
def told(desk, shop):
    """(kind, subject) of what does not agree about the shop."""

    def look(**options):
        found = audit.differences(desk, account=shop.account, since=None, ledger=None, **options)
        return sorted((each.kind, each.subject) for each in found)

    return look


def _answered(shop):
    claimed, call_id = shop.enter()
    shop.settle(claimed, call_id)
    return claimed, call_id


def test_where_all_agrees_nothing_is_told(shop, told, desk):
    _answered(shop)
    shop.enter()
    claimed, _ = shop.enter()
    shop.change_analysis(claimed.id, lease_until=LONG_AGO)
    outcomes.sweep(desk, bells_waiting=None)
    assert told() == []


def test_a_usage_that_is_not_the_sum_of_its_calls_is_told(shop, told):
    claimed, _ = _answered(shop)
    shop.change_analysis(claimed.id, prompt_tokens=1)
    assert told() == [("usage_differs", claimed.id)]


def test_a_completed_analysis_without_a_call_is_told(shop, told):
    analysis_id = shop.analysis()
    shop.change_analysis(analysis_id, state="completed")
    assert told() == [("answer_without_call", analysis_id)]


def test_a_call_that_nobody_closed_is_told(shop, told):
    claimed, call_id = shop.enter()
    shop.change_call(call_id, created_at=LONG_AGO)
    assert told() == []  # its lease stands
    shop.change_analysis(claimed.id, fence=99)
    assert told() == [("call_left_open", call_id)]


def test_a_call_of_another_batch_than_its_analysis_is_told(shop, told):
    _, call_id = _answered(shop)
    shop.change_call(call_id, batch_id="batch_1")
    assert told() == [("call_of_another", call_id)]


def test_a_budget_that_is_not_what_the_books_say_is_told(shop, told):
    _answered(shop)
    shop.change_budget(used=Decimal("9.9"))
    assert told() == [("budget_differs", shop.key.id)]


def test_calls_of_deleted_analyses_are_no_difference(shop, told, desk):
    claimed, _ = _answered(shop)
    with desk.database.transaction() as session:
        analyses.remove(session, claimed.id)
    assert told() == []


def test_only_the_account_that_is_named_is_looked_at(shop, told, desk):
    other = Shop(desk)
    other.change_analysis(other.analysis(), state="completed")
    assert told() == []
    with pytest.raises(NotFound):
        list(audit.differences(desk, account="nobody", since=None, ledger=None))


def test_a_ledger_and_differences_by_the_ten_thousand_take_little_memory(shop, desk):
    count = 20_000
    rows = [{"id": new_id("call"), "up": f"{new_id('up')}-{n}"} for n in range(count)]
    call = {"account_id": shop.key.account_id, "key_id": shop.key.id, "fence": 1, "model": "m"}
    call |= {"state": "settled", "prompt_tokens": 1, "completion_tokens": 1, "reserved_cost": 0}
    with desk.database.transaction() as session:
        for start in range(0, count, 1_000):
            some = rows[start : start + 1_000]
            values = [
                {**call, "id": row["id"], "analysis_id": row["id"], "upstream_id": row["up"]} for row in some
            ]
            session.execute(insert(Call), values)

    def ledger():
        for row in rows:
            yield {
                "upstream_id": row["up"],
                "request_id": None,
                "prompt_tokens": 2,
                "completion_tokens": 1,
                "at": "2026-01-01T00:00:00+00:00",
            }

    tracemalloc.start()
    found = audit.differences(desk, account=shop.account, since=None, ledger=ledger())
    kinds = {each.kind: number for number, each in enumerate(found, 1)}
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with desk.database.transaction() as session:
        session.execute(text("DELETE FROM calls WHERE key_id = :key"), {"key": shop.key.id})
    assert kinds == {"tokens_differ": count}
    assert most < 15_000_000

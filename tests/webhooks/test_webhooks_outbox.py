"""What is told, to whom, and that it commits with what it tells of."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from ledger_shop import FAULT
from sqlalchemy import func, select, text

from core.errors import QuotaExhausted
from core.models import Delivery
from core.services import analyses, batches, deliveries, dispatching, outcomes, pausing, webhooks
from core.services.webhooks import Told
from core.store import claims
from core.store import webhooks as store


def types(shop):
    return [(row.type, row.subject_id) for row in shop.outbox()]


def move_on(shop):
    dispatching.move_on(shop.desk)


def test_an_answer_is_told_in_the_transaction_that_records_it(shop, receiver):
    shop.webhook(receiver)
    done = shop.complete()
    assert types(shop) == [("analysis.completed", done)]
    with shop.desk.database.transaction() as session:
        written = select(text("analyses.xmin::text = deliveries.xmin::text")).select_from(
            text("analyses JOIN deliveries ON deliveries.subject_id = analyses.id")
        )
        assert session.scalars(written.where(text(f"analyses.id = '{done}'"))).all() == [True]


def test_what_rolls_back_is_not_told(shop, receiver):
    shop.webhook(receiver)
    claimed, _ = shop.enter()
    with shop.desk.database.transaction() as session:
        claims.record(session, claimed, outcomes.AnalysisState.FAILED, {"attempts": 1}, None)
        assert session.scalar(select(func.count()).where(Delivery.subject_id == claimed.id)) == 1
        session.rollback()
    assert types(shop) == []


def test_every_way_in_which_an_analysis_ends_is_told(shop, receiver):
    shop.webhook(receiver)
    failed, _ = shop.enter()
    outcomes.fail(shop.desk, failed, FAULT, None)
    cancelled = shop.analysis()
    analyses.cancel(shop.desk, shop.key.account_id, cancelled)
    expired = shop.analysis()
    shop.change_analysis(expired, deadline_at=func.now())
    crashed = shop.claim()
    shop.change_analysis(crashed.id, lease_until=func.now(), lease_expiries=2)
    outcomes.sweep(shop.desk, bells_waiting=0)
    assert sorted(types(shop)) == sorted(
        [
            ("analysis.failed", failed.id),
            ("analysis.cancelled", cancelled),
            ("analysis.expired", expired),
            ("analysis.failed", crashed.id),
        ]
    )


def test_a_try_that_is_not_the_last_is_not_told(shop, receiver):
    shop.webhook(receiver)
    claimed, _ = shop.enter()
    outcomes.retry(shop.desk, claimed, FAULT, None, seconds=1, counts=True)
    assert types(shop) == []


def test_a_small_answer_is_in_the_message_and_a_large_one_is_not(shop, receiver):
    shop.webhook(receiver)
    shop.complete()
    large = shop.complete()
    [small, _] = shop.outbox()
    assert small.payload["result"]["answer"] == "A mug."
    assert small.payload["url"] == f"/api/v1/analyses/{small.subject_id}"
    assert list(small.payload)[:3] == ["id", "object", "status"]
    shop.change_analysis(large, answer="x" * 70_000)
    with shop.desk.database.transaction() as session:
        webhooks.outbox.tell_analyses(session, [large])
    assert [row.payload["result"] for row in shop.outbox(subject_id=large)][-1] is None


def test_items_of_batches_are_told_only_to_those_who_ask_for_them(shop, receiver):
    quiet, loud = shop.webhook(receiver), shop.webhook(receiver, batch_items=True)
    batch_id = shop.batch(items=0)
    item = shop.complete(batch_id=batch_id, position=0)
    assert [(row.webhook_id, row.subject_id) for row in shop.outbox()] == [(loud.id, item)]
    assert shop.outbox()[0].payload["result"] is None
    assert quiet.batch_items is False


def test_a_webhook_hears_only_what_it_asked_for_and_only_of_its_own_account(shop, receiver, new_shop):
    shop.webhook(receiver, events=["analysis.failed"])
    other = new_shop()
    other.webhook(receiver)
    shop.complete()
    assert shop.outbox() == other.outbox() == []


def test_a_disabled_webhook_hears_nothing(shop, receiver):
    made = shop.webhook(receiver)
    webhooks.change(shop.desk, shop.key.account_id, made.id, {"enabled": False})
    shop.complete()
    assert shop.outbox() == []


def test_a_submission_may_have_a_webhook_of_its_own(shop, receiver):
    mine, other = shop.analysis(), shop.analysis()
    with shop.desk.database.transaction() as session:
        webhooks.attach(session, shop.key.account_id, mine, Told(receiver.url, "a secret of ours"))
    for analysis_id in (mine, other):
        analyses.cancel(shop.desk, shop.key.account_id, analysis_id)
    assert types(shop) == [("analysis.cancelled", mine)]
    rows, _ = webhooks.page(shop.desk, shop.key.account_id, None, before=None, limit=10)
    assert rows == []
    [found], _ = webhooks.page(shop.desk, shop.key.account_id, mine, before=None, limit=10)
    assert found.owner_id == mine


def test_a_batch_tells_each_quarter_once_and_then_its_end_with_counts_that_sum(shop, receiver):
    shop.webhook(receiver)
    batch_id = shop.batch(items=8)
    for position in range(8):
        shop.complete_item(batch_id, position)
        deliveries.tell_progress(shop.desk)
        deliveries.tell_progress(shop.desk)
    move_on(shop)
    told = [(row.type, row.payload["progress"]) for row in shop.outbox()]
    assert told == [
        ("batch.progress", 0.25),
        ("batch.progress", 0.5),
        ("batch.progress", 0.75),
        ("batch.completed", 1.0),
    ]
    counts = shop.outbox()[1].payload["counts"]
    assert counts["total"] == sum(counts[name] for name in counts if name != "total") == 8
    assert counts["completed"] == counts["pending"] == 4


def test_every_other_move_of_a_batch_is_told(shop, receiver):
    shop.webhook(receiver)
    account = shop.key.account_id
    cancelled, late = shop.batch(items=2), shop.batch(items=1)
    batches.pause(shop.desk, account, cancelled)
    batches.resume(shop.desk, account, cancelled)
    batches.cancel(shop.desk, account, cancelled)
    shop.expire_batch(late)
    outcomes.sweep(shop.desk, bells_waiting=0)
    move_on(shop)
    assert sorted(types(shop)) == [
        ("batch.cancelled", cancelled),
        ("batch.expired", late),
        ("batch.paused", cancelled),
    ]
    told = {row.type: row.payload for row in shop.outbox()}
    assert told["batch.paused"]["reason"] == "paused by the client"
    assert told["batch.cancelled"]["counts"]["cancelled"] == 2


def test_a_batch_that_is_paused_for_the_endpoint_is_told(shop, receiver):
    shop.webhook(receiver)
    batch_id = shop.batch()
    claimed = shop.claim(batch_id=batch_id, position=0)
    pausing.pause_for(shop.desk, claimed, QuotaExhausted(), None)
    assert types(shop) == [("batch.paused", batch_id)]


def test_a_budget_that_is_used_up_is_told_once_and_again_after_it_was_raised(new_shop, receiver):
    shop = new_shop(monthly_usd="0.05")
    shop.webhook(receiver, events=["budget.exceeded"])
    for _ in range(2):
        with pytest.raises(outcomes.BudgetExceeded):
            shop.enter()
    assert [row.payload["limit"] for row in shop.outbox()] == [0.05]
    shop.limit(monthly_usd="0.06")
    with pytest.raises(outcomes.BudgetExceeded):
        shop.enter()
    assert [row.payload["limit"] for row in shop.outbox()] == [0.05, 0.06]
    assert shop.outbox()[0].subject_id == shop.outbox()[0].payload["id"] == shop.key.id


def test_a_batch_that_cannot_be_paid_tells_both_that_it_is_paused_and_why(new_shop, receiver):
    shop = new_shop()
    shop.webhook(receiver)
    batch_id = shop.batch(max_cost="0.01")
    with pytest.raises(outcomes.BudgetExceeded):
        shop.enter(shop.claim(batch_id=batch_id, position=0))
    assert sorted(types(shop)) == [("batch.paused", batch_id), ("budget.exceeded", batch_id)]


def test_an_account_without_webhooks_pays_no_statement_for_an_outcome(shop, statements):
    """The hot path: what is wanted is seen by the statement that records."""
    claimed, call_id = shop.enter()
    with statements() as seen:
        shop.settle(claimed, call_id)
    assert not [statement for statement in seen if "INSERT INTO deliveries" in statement]
    assert len(seen) == 1


def test_an_item_of_a_batch_pays_none_where_only_batches_are_listened_to(shop, receiver, statements):
    shop.webhook(receiver)
    batch_id = shop.batch()
    claimed, call_id = shop.enter(shop.claim(batch_id=batch_id, position=0))
    with statements() as seen:
        shop.settle(claimed, call_id)
    assert len(seen) == 1


def test_the_statements_of_every_item_are_short_enough_for_the_driver_to_remember(shop, statements):
    """psycopg takes longer ones apart anew each time: MAX_CACHED_STATEMENT_LENGTH."""
    with statements() as seen:
        shop.complete()
        failed, _ = shop.enter()
        outcomes.fail(shop.desk, failed, FAULT, None)
    assert max(len(statement) for statement in seen) <= 4_096


def test_ids_of_deliveries_are_unique_and_look_like_all_others(shop, receiver):
    shop.webhook(receiver)
    batch = [shop.analysis() for _ in range(20)]
    for analysis_id in batch:
        analyses.cancel(shop.desk, shop.key.account_id, analysis_id)
    ids = [row.id for row in shop.outbox()]
    assert len(set(ids)) == 20
    assert all(len(made) == len("evt_") + 26 for made in ids)
    assert [made[:14] for made in ids] == sorted(made[:14] for made in ids)


def test_a_webhook_that_is_removed_at_the_same_moment_costs_no_outcome(shop, receiver):
    """The answer is paid for: nothing about webhooks may lose it."""
    made = shop.webhook(receiver)
    claimed, call_id = shop.enter()
    with ThreadPoolExecutor(1) as pool:
        with shop.desk.database.transaction() as session:
            store.remove(session, made.id)
            session.flush()
            recording = pool.submit(shop.settle, claimed, call_id)
            wait([recording], timeout=1)
            assert not recording.done()
        recording.result(timeout=30)
    assert analyses.get(shop.desk, shop.key.account_id, claimed.id).state == "completed"
    assert shop.outbox() == []


def test_what_is_deleted_is_told_no_more(shop, receiver):
    shop.webhook(receiver)
    done = shop.complete()
    analyses.delete(shop.desk, shop.key.account_id, done)
    assert shop.outbox() == []

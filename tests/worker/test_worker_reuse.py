"""Answers that are given again, step by step in one process; the clock is the rows' own."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network

import pytest
from endpoint import completion
from prometheus_client import REGISTRY
from rawhost import RawHost, answering
from sqlalchemy import func, select, text, update
from waiting import wait_until

from core import quality
from core.addresses import AddressRules
from core.models import Batch, BudgetKind, Delivery, Reuse
from core.queue import BULK
from core.redis import PREFIX, connect
from core.services import (
    analyses,
    audit,
    batches,
    chat,
    dispatching,
    keys,
    outcomes,
    presets,
    reuse,
    usage,
    webhooks,
)
from core.services.analyses import Submission
from core.services.batches import Order
from core.services.dispatching import Pace
from core.services.image_urls import ImageUrl
from core.services.items import Items
from core.services.keys import Limits
from core.states import AnalysisState
from core.store import analyses as analyses_store
from core.store import claims
from webapp import present
from webapp.openai_api.chat import read_image
from webapp.uploads import Spool
from worker.analyze import Analyzer
from worker.fetcher import Fetcher
from worker.leases import Leases
from worker.outbound import Outbound


@pytest.fixture
def told(script):
    """An endpoint that says something else each time."""
    for number in range(9):
        script.say(completion(f"Answer {number}.", prompt_tokens=1000, completion_tokens=100))
    return script


@pytest.fixture
def agreed(desk):
    """Whether the books agree with everything of this test's rows."""

    def differences(rows):
        ids = {row.id for row in rows}
        return [
            each
            for each in audit.differences(desk, account=None, since=None, ledger=None)
            if each.subject in ids
        ]

    return differences


def claim(shop, analysis_id):
    return outcomes.claim(shop.desk, analysis_id, "w")


def reuses(shop):
    with shop.desk.database.transaction() as session:
        return list(session.scalars(select(Reuse).where(Reuse.account_id == shop.key.account_id)))


def test_the_same_question_is_answered_at_once_and_for_nothing(shop, told, agreed):
    first = shop.ask()
    again = shop.look(shop.submit())  # no worker has seen it
    assert (again.state, again.answer, again.finish_reason) == ("completed", "Answer 0.", "stop")
    assert (again.cached_from, again.prompt_tokens, again.completion_tokens) == (first.id, 0, 0)
    assert (again.prompt_cost, again.completion_cost, again.attempts) == (0, 0, 0)
    assert len(told.calls) == 1
    assert not shop.calls(again.id)
    [entry] = reuses(shop)
    assert (entry.analysis_id, entry.source_id) == (again.id, first.id)
    assert entry.saved_cost == first.prompt_cost + first.completion_cost > 0
    assert not agreed([first, again])


@pytest.mark.parametrize(
    "other",
    [
        {"question": "Is it new?"},
        {"context": "It is a mug."},
        {"model": "scripted"},
        {"max_tokens": 77},
        {"temperature": 1.0},
        {"detail": "high"},
        {"require_quality": [next(iter(quality.rule_sets()))]},
        {"response_format": {"type": "json_object"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_question_is_asked(shop, told, other):
    shop.ask()
    assert shop.look(shop.submit(**other)).state == "queued"


def test_another_image_is_asked_about_and_the_order_counts(desk, shop, told, photo):
    shop.ask(content=photo("red"))
    assert shop.look(shop.submit(photo("blue"))).state == "queued"
    common = reuse.Fingerprints(desk, "acc").common(shop.look(shop.submit()), presets.find(desk, None, None))
    prints = {reuse.prints.fingerprint(common, "q", None, order) for order in (("aa", "bb"), ("bb", "aa"))}
    assert len(prints) == 2


def test_what_a_claim_is_made_of_is_in_its_fingerprint_or_does_not_change_its_answer():
    asked = set(reuse.prints.Common._fields) | {"question", "context", "digests", "views"}
    called_otherwise = {"preset_options": "options", "require_quality": "rules"}
    of_the_row = {"id", "key_id", "request_id", "batch_id", "fence", "attempts", "first_model", "streamed"}
    of_reuse = {"cache_seconds", "is_answered", "reuses_near"}
    fields = {field.name for field in dataclasses.fields(claims.Claim)} - of_the_row - of_reuse
    assert {called_otherwise.get(name, name) for name in fields} <= asked


def test_another_accounts_answer_is_never_given(shop, told, new_key):
    shop.ask()
    shop.key = new_key().key
    assert shop.look(shop.submit()).state == "queued"


def test_an_answer_is_as_old_as_the_beginning_of_its_work(shop, told):
    first = shop.ask()
    shop.change(first.id, started_at=func.now() - timedelta(hours=23))
    assert shop.look(shop.submit()).cached_from == first.id
    assert shop.look(shop.submit(cache=3600)).state == "queued"
    shop.change(first.id, started_at=func.now() - timedelta(hours=25))
    assert shop.look(shop.submit(cache=100_000)).cached_from == first.id
    assert shop.look(shop.submit()).state == "queued"


def test_a_refresh_is_asked_and_serves_those_that_come_after_it(shop, told):
    shop.ask()
    fresh = shop.ask(cache="refresh")
    assert (fresh.answer, fresh.cached_from) == ("Answer 1.", None)
    assert shop.look(shop.submit()).cached_from == fresh.id


def test_what_is_off_neither_takes_nor_gives(shop, told):
    first = shop.ask(cache="off")
    second = shop.ask()
    third = shop.ask(cache="off")
    assert [row.answer for row in (first, second, third)] == ["Answer 0.", "Answer 1.", "Answer 2."]
    assert third.fingerprint is None


def test_where_the_operator_switched_it_off_only_who_asks_for_it_gets_it(shop, told):
    shop.desk = dataclasses.replace(shop.desk, settings=dataclasses.replace(shop.desk.settings, reuse_ttl=0))
    assert shop.ask().cache_seconds is None
    first = shop.ask(cache=60)
    assert shop.look(shop.submit(cache=60)).cached_from == first.id


def test_a_failure_is_not_given_again(shop, script):
    script.say({"error": {"message": "no"}}, status=400)
    script.say(completion("Better."))
    assert shop.ask().state == "failed"
    assert shop.ask().answer == "Better."


def test_a_trial_is_asked_every_time(shop, told):
    shop.ask()
    assert shop.ask(is_trial=True).answer == "Answer 1."


def test_what_is_measured_and_free_is_measured_again(shop):
    first = shop.ask(question=None, preset="quality")
    again = shop.ask(question=None, preset="quality")
    assert (first.cached_from, again.cached_from, again.fingerprint) == (None, None, None)
    assert first.state == again.state == "completed"


def test_a_deleted_answer_is_gone_for_good_and_its_copies_stay(shop, told, agreed):
    first = shop.ask()
    copy = shop.look(shop.submit())
    analyses.delete(shop.desk, shop.key.account_id, first.id)
    assert shop.look(copy.id).answer == "Answer 0."
    assert shop.ask().answer == "Answer 1."
    assert not agreed([copy])


def test_what_asks_the_same_waits_without_a_worker_and_is_answered_with_it(shop, told):
    leader = claim(shop, shop.submit())
    follower = shop.look(shop.submit())
    assert (follower.state, follower.follows) == ("queued", leader.id)
    assert leader.id in follower.reason
    assert claim(shop, follower.id) is None
    assert outcomes.sweep(shop.desk, bells_waiting=0).count(follower.id) == 0
    shop.analyzer._run(leader)
    follower = shop.look(follower.id)
    assert (follower.state, follower.cached_from, follower.reason) == ("completed", leader.id, None)
    assert len(told.calls) == 1


def test_two_that_are_claimed_at_once_are_one_call(shop, told):
    first, second = shop.submit(), shop.submit()  # neither runs, so neither can be followed yet
    leader = claim(shop, first)
    assert claim(shop, second) is None
    assert shop.look(second).follows == first
    shop.analyzer._run(leader)
    assert shop.look(second).cached_from == first


def test_a_bell_is_not_lost_where_the_leader_fails_before_it_could_be_followed(shop):
    leader, other = claim(shop, shop.submit()), shop.submit(content=shop.photo("blue"))
    shop.change(other, fingerprint=shop.look(leader.id).fingerprint)  # as of one that was there before
    with ThreadPoolExecutor(1) as pool:
        with shop.desk.database.transaction() as session:
            analyses_store.lock(session, leader.id)
            claiming = pool.submit(
                claim, shop, other
            )  # it sees the leader run, and waits to be put behind it
            wait_until(lambda: waiting_for_locks(shop))
            analyses_store.move_one(session, leader.id, AnalysisState.FAILED, error_code="image_undecodable")
        claimed = claiming.result()
    assert claimed is not None
    assert shop.look(other).state == "running"


def waiting_for_locks(shop):
    with shop.desk.database.statement() as connection:
        return connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )


def test_an_answer_that_comes_between_a_claim_and_its_call_is_given(shop, told, agreed):
    first, second = shop.submit(), shop.submit()
    shop.run(first)
    late = dataclasses.replace(
        claim(shop, second), is_answered=False
    )  # as if it had been taken a moment before
    shop.analyzer._run(late)
    assert shop.look(second).cached_from == first
    assert len(told.calls) == 1
    assert not shop.calls(second)
    assert not agreed([shop.look(first), shop.look(second)])


def test_a_follower_of_one_that_failed_is_asked_by_itself(shop, script):
    script.say({"error": {"message": "no"}}, status=400)
    leader = claim(shop, shop.submit())
    followers = [shop.submit(), shop.submit()]
    shop.analyzer._run(leader)
    assert shop.look(leader.id).state == "failed"
    assert [(row.state, row.follows, row.is_alone) for row in map(shop.look, followers)] == [
        ("queued", None, True)
    ] * 2
    script.say(completion("Better."))
    running = claim(shop, followers[0])
    assert claim(shop, followers[1]) is not None  # beside it: they do not wait for each other
    shop.analyzer._run(running)
    assert shop.look(followers[0]).answer == "Better."


def test_a_follower_of_one_that_is_cancelled_goes_on(shop, told):
    leader = claim(shop, shop.submit())
    followers = [shop.submit(), shop.submit()]
    analyses.cancel(shop.desk, shop.key.account_id, leader.id)
    assert shop.run(followers[0]).answer == "Answer 0."
    assert shop.run(followers[1]).cached_from == followers[0]


def test_a_follower_can_be_cancelled_and_its_leader_goes_on(shop, told):
    leader, follower = claim(shop, shop.submit()), shop.submit()
    analyses.cancel(shop.desk, shop.key.account_id, follower)
    shop.analyzer._run(leader)
    assert [shop.look(each).state for each in (leader.id, follower)] == ["completed", "cancelled"]


def test_a_follower_expires_at_its_own_deadline(shop, told):
    leader, follower = claim(shop, shop.submit()), shop.submit()
    shop.change(follower, deadline_at=func.now())
    outcomes.sweep(shop.desk, bells_waiting=0)
    assert shop.look(follower).state == "expired"
    shop.analyzer._run(leader)
    assert shop.look(follower).state == "expired"


def test_followers_stay_with_one_whose_worker_died_and_is_taken_over(shop, told):
    leader, follower = claim(shop, shop.submit()), shop.submit()
    shop.change(leader.id, lease_until=func.now() - timedelta(seconds=1))
    outcomes.sweep(shop.desk, bells_waiting=0)
    assert shop.look(follower).follows == leader.id
    assert shop.run(leader.id).answer == "Answer 0."
    assert shop.look(follower).cached_from == leader.id


def test_followers_stay_with_one_that_is_tried_again(shop, script):
    script.say({"error": {"message": "later"}}, status=503)
    leader, follower = claim(shop, shop.submit()), shop.submit()
    shop.analyzer._run(leader)
    outcomes.sweep(shop.desk, bells_waiting=0)
    assert (shop.look(leader.id).state, shop.look(follower).follows) == ("queued", leader.id)
    script.say(completion("At last."))
    shop.change(leader.id, next_attempt_at=func.now())
    assert shop.run(leader.id).answer == "At last."
    assert shop.look(follower).cached_from == leader.id


def test_a_follower_whose_leader_ended_unseen_is_let_go_by_the_sweep(shop, told):
    leader, follower = claim(shop, shop.submit()), shop.submit()
    shop.change(leader.id, state="cancelled")
    assert follower in outcomes.sweep(shop.desk, bells_waiting=0)
    assert shop.run(follower).answer == "Answer 0."


def test_a_refresh_waits_for_one_that_was_begun_before_it_and_is_then_asked(shop, told):
    leader = claim(shop, shop.submit())
    fresh = shop.submit(cache="refresh")
    assert shop.look(fresh).follows == leader.id
    shop.analyzer._run(leader)
    assert shop.look(fresh).state == "queued"
    assert shop.run(fresh).answer == "Answer 1."


def test_the_next_version_of_a_preset_asks_anew(shop, told, desk):
    pack = {"title": "T", "prompt": "Be brief.", "question": "What?"}
    presets.create(desk, shop.key.account_id, "own", pack)
    first = shop.ask(question=None, preset="own")
    assert shop.look(shop.submit(question=None, preset="own")).cached_from == first.id
    presets.create(desk, shop.key.account_id, "own", pack | {"prompt": "Be very brief."})
    assert shop.ask(question=None, preset="own").answer == "Answer 1."


def test_who_has_used_up_a_budget_still_gets_what_is_free(shop, told, desk, new_key):
    made = new_key(spending={"monthly_usd": Decimal("0.01")})
    shop.key = made.key
    first = shop.ask()
    keys.limit(desk, shop.key.id, Limits({}, {BudgetKind.MONTHLY_USD: Decimal("0.0000001")}))
    assert shop.look(shop.submit()).cached_from == first.id


@pytest.fixture
def batch(shop, photo):
    """Submit a batch of so many items about one photo, with the questions given, again and again.

    Batches and bells that other tests left are no part of it: they are counted over all of them.
    """
    connect(shop.desk.settings.redis_url).delete(PREFIX + BULK)
    with shop.desk.database.transaction() as session:
        session.execute(update(Batch).where(Batch.state == "running").values(state="paused"))

    def make(*questions, **defaults):
        spool = Spool(10_000_000)
        spool.write(photo("green"))
        upload = spool.upload("p.jpg")
        rows = [
            (number, {"image": upload, "question": question, "model": "gpt-4.1-mini"})
            for number, question in enumerate(questions, 1)
        ]
        items = Items(shop.desk, shop.key.account_id, defaults, lambda _: upload).read(rows)
        order = Order(metadata={}, window=timedelta(hours=1), priority="normal", pilot=None)
        return batches.submit(shop.desk, shop.key, items, order, "req-1").batch.id

    return make


def items_of(shop, batch_id):
    rows, _ = batches.results(shop.desk, shop.key.account_id, batch_id, after=-1, limit=1_000, state=None)
    return rows


def dispatch(shop, turns=5):
    """Bells that are rung; a turn on a slow machine ends before it has passed over everything."""
    return sum(dispatching.turn(shop.desk, Pace(), 1.0) for _ in range(turns))


def test_a_batch_that_was_answered_before_needs_neither_bell_nor_worker(shop, told, batch, agreed):
    paid = [shop.run(row.id) for row in items_of(shop, batch("One?", "Two?"))]
    again = batch(*["One?", "Two?"] * 300)
    assert dispatch(shop, turns=50) == 0
    rows = items_of(shop, again)
    assert [row.cached_from for row in rows] == [paid[0].id, paid[1].id] * 300
    assert {row.finish_xid is None for row in rows} == {False}
    dispatching.move_on(shop.desk)
    assert batches.get(shop.desk, shop.key.account_id, again).batch.state == "completed"
    assert len(reuses(shop)) == 600
    assert not agreed([*paid, *rows])


def test_in_a_batch_the_same_is_rung_for_once_and_what_runs_is_followed(shop, told, batch):
    first, *others = items_of(shop, batch(*["One?"] * 40))
    leader = claim(shop, first.id)
    assert dispatch(shop) == 0
    assert {row.follows for row in map(shop.look, (row.id for row in others))} == {first.id}
    shop.analyzer._run(leader)
    assert {row.cached_from for row in map(shop.look, (row.id for row in others))} == {first.id}
    assert len(told.calls) == 1


def test_what_is_new_is_rung_for_among_what_is_not(shop, told, batch):
    shop.run(items_of(shop, batch("One?"))[0].id)
    made = batch("One?", "Two?", "One?", "Three?")
    assert dispatch(shop) == 2
    assert [row.state for row in items_of(shop, made)] == ["completed", "queued", "completed", "queued"]


def test_items_of_a_paused_batch_get_no_answer_until_it_goes_on(shop, told, batch):
    shop.run(items_of(shop, batch("One?"))[0].id)
    made = batch("One?")
    batches.pause(shop.desk, shop.key.account_id, made)
    dispatch(shop)
    assert [row.state for row in items_of(shop, made)] == ["queued"]
    batches.resume(shop.desk, shop.key.account_id, made)
    dispatch(shop)
    assert [row.state for row in items_of(shop, made)] == ["completed"]


def test_nobody_waits_for_an_item_that_is_held_with_its_batch(shop, script, batch):
    made = batch("One?")
    [item] = items_of(shop, made)
    leader = claim(shop, item.id)
    follower = shop.submit(shop.photo("green"), question="One?")
    assert shop.look(follower).follows == item.id
    batches.pause(shop.desk, shop.key.account_id, made)
    outcomes.release(shop.desk, leader, "its batch was paused")
    assert follower in outcomes.sweep(shop.desk, bells_waiting=0)
    script.say(completion("By itself."))
    assert shop.run(follower).answer == "By itself."


def test_followers_of_a_cancelled_batch_are_cancelled_with_it(shop, told, batch):
    first, second = items_of(shop, made := batch("One?", "One?"))
    leader = claim(shop, first.id)
    dispatch(shop)
    batches.cancel(shop.desk, shop.key.account_id, made)
    dispatching.move_on(shop.desk)
    shop.analyzer._run(leader)
    assert [shop.look(row.id).state for row in (first, second)] == ["completed", "cancelled"]


def test_an_item_of_a_deleted_batch_gives_no_answer(shop, told, batch):
    made = batch("One?")
    shop.run(items_of(shop, made)[0].id)
    with shop.desk.database.transaction() as session:
        session.execute(update(Batch).where(Batch.id == made).values(deleted_at=func.now()))
    assert shop.look(shop.submit(shop.photo("green"), question="One?")).state == "queued"


def test_usage_tells_what_was_given_again_and_what_that_saved(shop, told, batch):
    first = shop.run(items_of(shop, batch("One?"))[0].id)
    batch("One?", "One?")
    dispatch(shop)
    now, hour = datetime.now(UTC), timedelta(hours=1)
    asked = usage.question(
        shop.key.account_id, since=now - hour, until=now + hour, interval="day", group_by=["batch"]
    )
    groups = [
        (group["calls"], group["cached"], group["saved"]) for group in usage.everything(shop.desk, asked)
    ]
    cost = first.prompt_cost + first.completion_cost
    assert sorted(groups) == [(0, 2, 2 * cost), (1, 0, 0)]


def test_what_is_saved_is_what_the_answer_took_without_calls_that_were_lost_before_it(shop, script):
    script.say("gateway timeout", 504)
    leader, waiting = claim(shop, shop.submit()), shop.submit()
    shop.analyzer._run(leader)
    script.say(completion("At last."))
    shop.change(leader.id, next_attempt_at=func.now())
    first = shop.run(leader.id)
    lost, answered = shop.calls(first.id)
    assert (lost.state, answered.state) == ("unknown", "settled")
    assert first.prompt_cost + first.completion_cost > lost.reserved_cost > 0  # its bill has both
    assert {shop.look(waiting).cached_from, shop.look(shop.submit()).cached_from} == {first.id}
    cost = answered.prompt_cost + answered.completion_cost
    assert [entry.saved_cost for entry in reuses(shop)] == [cost, cost]


def test_events_and_metrics_tell_what_was_given_again(shop, told, desk):
    webhooks.create(desk, shop.key.account_id, url="https://shop.example/hook", events=["analysis.completed"])
    first, before = shop.ask(), REGISTRY.get_sample_value("vitrine_reused_answers_total")
    again = shop.submit()
    assert REGISTRY.get_sample_value("vitrine_reused_answers_total") == before + 1
    with desk.database.transaction() as session:
        mine = select(Delivery).where(Delivery.account_id == shop.key.account_id)
        payloads = {row.subject_id: row.payload for row in session.scalars(mine)}
    assert {each: payload["cached_from"] for each, payload in payloads.items()} == {
        first.id: None,
        again: first.id,
    }
    assert [payloads[each]["cached"] for each in (first.id, again)] == [False, True]


def test_a_cascade_is_told_with_both_models_and_costs_nothing_again(shop, script, desk):
    models = {"first": "gpt-4.1-mini", "stronger": "scripted", "must_know": ["kind"]}
    schema = {"type": "object", "properties": {"kind": {"type": ["string", "null"]}}}
    pack = {"title": "T", "prompt": "P", "question": "Which?", "schema": schema, "models": models}
    presets.create(desk, shop.key.account_id, "kinds", pack)
    script.say(completion('{"kind": null}'))
    script.say(completion('{"kind": "mug"}'))
    asked = {"question": None, "preset": "kinds", "model": None}
    first, again = shop.ask(**asked), shop.look(shop.submit(**asked))
    assert (again.data, again.model, again.first_model) == ({"kind": "mug"}, "scripted", "gpt-4.1-mini")
    view = present.analysis(again)
    assert (view["cached_from"], view["cost"]["total_cost"]) == (first.id, 0)
    assert [view["cascade"][each]["total_cost"] for each in ("first", "stronger")] == [0, 0]
    assert len(script.calls) == 2


def test_an_image_named_by_a_url_is_known_by_what_it_is(shop, told, desk, photo, preparer, vision, throttle):
    rules = AddressRules(networks=(ip_network("127.0.0.0/8"),), ports=(range(1, 65_536),))
    fetcher, leases = Fetcher(desk, Outbound(rules)), Leases(desk)
    shop.analyzer = Analyzer(desk, fetcher, preparer, vision, throttle, leases, "test-worker")

    def submit(url):
        asked = Submission(images=[ImageUrl(url)], question="What is it?", model="gpt-4.1-mini")
        return analyses.submit(desk, shop.key, asked, "req-1").id

    try:
        with RawHost(answering(200, photo())) as host:
            first = shop.ask(content=photo())
            again = shop.run(submit(host.url("/a.jpg")))
            assert again.cached_from == first.id
            leader = claim(shop, shop.submit(photo(), cache="refresh"))
            behind = shop.run(late := submit(host.url("/b.jpg")))
            assert (behind.cached_from, behind.follows) == (first.id, None)  # there is an answer already
            analyses.delete(desk, shop.key.account_id, first.id)
            behind = shop.run(late := submit(host.url("/c.jpg")))
            assert (behind.state, behind.follows, behind.lease_until) == ("queued", leader.id, None)
            shop.analyzer._run(leader)
            assert shop.look(late).cached_from == leader.id
    finally:
        fetcher.close()
        leases.close()
    assert len(told.calls) == 2


def test_a_chat_takes_an_earlier_answer_where_it_says_so(app, shop, told):
    def say(cache="off", **more):
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello."}], **more}
        with app.app_context():
            asked = chat.parse(shop.desk, body, read_image, lambda _: None, cache)
        return shop.look(chat.submit(shop.desk, shop.key, asked, "req-chat"))

    first = shop.run(say("auto").id)
    again = say("auto")
    found = chat.look(shop.desk, shop.key.account_id, again.id)
    assert (again.cached_from, found.cached_from) == (first.id, first.id)
    assert found.reply["choices"][0]["message"]["content"] == "Answer 0."
    assert {say().state, say("auto", stream=True).state, say("auto", seed=1).state} == {"queued"}

"""How a delivery goes, whatever the receiver does; and that its lease brings it back."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from receiver import answer, close_early, redirect_to, too_much
from sqlalchemy import func

from core.models import Delivery
from core.services import deliveries, webhooks
from core.services.deliveries import Attempted
from core.store import lanes
from core.store.deliveries import KEPT_ATTEMPTS


def only(shop):
    [row] = shop.outbox()
    return row


def test_a_message_arrives_with_its_headers_and_is_done(shop, receiver):
    made = shop.webhook(receiver)
    analysis_id = shop.complete()
    shop.deliver()
    [message] = receiver.messages
    body = json.loads(message.body)
    assert (body["type"], body["data"]["id"]) == ("analysis.completed", analysis_id)
    assert (body["object"], body["id"]) == ("event", message.id)
    assert message.headers["content-type"] == "application/json"
    digest = hmac.new(made.secret.encode(), message.body, hashlib.sha256).hexdigest()
    assert message.headers["x-webhook-signature"] == f"sha256={digest}"
    assert only(shop).state == "delivered"
    assert only(shop).id == message.id
    [attempt] = shop.history(made, message.id)
    assert (attempt.number, attempt.status, attempt.error) == (1, 204, None)


@pytest.mark.parametrize(
    ("behave", "status", "words"),
    [
        (500, 500, "It answered 500."),
        (404, 404, "It answered 404."),
        (lambda handler: handler.connection.close(), None, "connection"),
        (close_early, None, "connection"),
    ],
    ids=["500", "404", "closes", "resets"],
)
def test_a_failure_is_tried_again_by_the_schedule_under_the_same_id(shop, receiver, behave, status, words):
    made = shop.webhook(receiver)
    shop.complete()
    receiver.behave = behave
    for _ in range(2):
        shop.deliver()
        assert only(shop).state == "pending"
        shop.deliver()  # it is not due
        shop.hurry()
    receiver.behave = 200
    shop.deliver()
    assert only(shop).state == "delivered"
    assert receiver.ids == [only(shop).id] * 3
    first, _, last = shop.history(made, only(shop).id)
    assert (first.status, last.status) == (status, 200)
    assert words in (first.error or f"It answered {first.status}.")


def test_the_waits_are_those_of_the_schedule_and_a_little_longer(shop, receiver):
    shop.webhook(receiver)
    shop.complete()
    receiver.behave = 500
    for seconds in shop.desk.settings.webhook_schedule:
        shop.deliver()
        row = only(shop)
        wait = (row.next_attempt_at - shop.now()).total_seconds()
        assert seconds - 30 < wait <= seconds * 1.2
        shop.hurry()
    shop.deliver()
    assert (only(shop).state, only(shop).reason) == ("failed", "It answered 500.")
    assert only(shop).attempts == len(shop.desk.settings.webhook_schedule) + 1


def test_a_redirect_is_a_failure_and_is_not_followed(shop, make_receiver):
    here, there = make_receiver(), make_receiver()
    here.behave = redirect_to(there.url)
    shop.webhook(here)
    shop.complete()
    shop.deliver()
    assert (only(shop).state, only(shop).reason) == ("pending", "It answered 302.")
    assert there.messages == []


def test_a_receiver_that_is_gone_is_disabled_at_once_and_others_are_told(shop, make_receiver):
    gone, other = make_receiver(), make_receiver()
    gone.behave = 410
    made, watcher = shop.webhook(gone), shop.webhook(other, events=["webhook.disabled"])
    shop.complete()
    shop.complete()
    shop.courier.deliver(shop.outbox()[0].id)
    found = shop.look(made)
    assert (found.disabled_reason, found.disabled_at is None) == ("It answered 410 Gone.", False)
    assert [row.state for row in shop.outbox(webhook_id=made.id)] == ["failed", "failed"]
    shop.deliver()
    assert len(gone.messages) == 1
    [told] = shop.outbox(webhook_id=watcher.id)
    assert (told.type, told.payload["id"], told.state) == ("webhook.disabled", made.id, "delivered")


def test_after_five_days_of_nothing_but_failures_a_webhook_is_disabled(shop, receiver):
    made = shop.webhook(receiver)
    shop.complete()
    receiver.behave = 500
    shop.deliver()
    assert shop.look(made).failing_since
    shop.change_webhook(made, failing_since=func.now() - timedelta(hours=119))
    shop.hurry()
    shop.deliver()
    assert shop.look(made).disabled_at is None
    shop.change_webhook(made, failing_since=func.now() - timedelta(hours=121))
    shop.hurry()
    shop.deliver()
    assert shop.look(made).disabled_reason == "Nothing but failures for 120 hours."


def test_one_success_ends_the_days_of_failures(shop, receiver):
    made = shop.webhook(receiver)
    shop.change_webhook(made, failing_since=func.now() - timedelta(hours=121))
    shop.complete()
    shop.deliver()
    assert (shop.look(made).failing_since, shop.look(made).disabled_at) == (None, None)


def test_ten_megabytes_of_reply_are_read_up_to_64_kilobytes(shop, receiver):
    receiver.behave = too_much
    made = shop.webhook(receiver)
    shop.complete()
    shop.deliver()
    assert only(shop).state == "delivered"
    [attempt] = shop.history(made, only(shop).id)
    assert len(attempt.reply) == 65_536


@pytest.mark.parametrize("reply", [b"a\0b", b"\xff\xfe", "é\u2028".encode()])
def test_whatever_a_receiver_replies_can_be_kept(shop, receiver, reply):
    receiver.behave = lambda handler: answer(handler, 200, reply)
    made = shop.webhook(receiver)
    shop.complete()
    shop.deliver()
    [attempt] = shop.history(made, only(shop).id)
    assert attempt.reply == reply.decode(errors="replace").replace("\0", "")


def test_a_receiver_that_hangs_is_left_at_the_timeout(shop, receiver):
    receiver.behave = receiver.hang
    made = shop.webhook(receiver)
    shop.complete()
    shop.deliver()
    [attempt] = shop.history(made, only(shop).id)
    assert (attempt.status, attempt.error) == (None, "The host did not answer in time.")
    assert attempt.seconds >= shop.desk.settings.webhook_timeout * 0.9


def test_nobody_listens_there(shop, make_receiver):
    gone = make_receiver()
    made = shop.webhook(gone)
    gone.stop()
    shop.complete()
    shop.deliver()
    [attempt] = shop.history(made, only(shop).id)
    assert (attempt.status, attempt.error) == (None, "The host cannot be reached.")


def test_a_delivery_whose_worker_died_is_rung_for_again_and_the_dead_one_records_nothing(shop, receiver):
    shop.webhook(receiver)
    shop.complete()
    [delivery_id] = shop.pick()
    claimed = deliveries.claim(shop.desk, delivery_id)
    shop.change(Delivery.id == delivery_id, rung_at=func.now() - timedelta(seconds=30))
    assert shop.pick() == []  # it is being sent
    shop.change(Delivery.id == delivery_id, lease_until=func.now() - timedelta(seconds=1))
    assert shop.pick() == [delivery_id]
    shop.courier.deliver(delivery_id)
    late = Attempted(status=500, error=None, reply="", seconds=1.0)
    deliveries.record(shop.desk, claimed, late)
    assert (only(shop).state, only(shop).attempts) == ("delivered", 1)


def test_a_bell_that_is_rung_twice_sends_once(shop, receiver):
    shop.webhook(receiver)
    shop.complete()
    for _ in range(2):
        shop.courier.deliver(only(shop).id)
    assert len(receiver.messages) == 1


def test_a_lost_bell_is_rung_again_after_a_while_and_not_before(shop, receiver):
    shop.webhook(receiver)
    shop.complete()
    assert len(shop.pick()) == 1
    assert shop.pick() == []
    shop.change(Delivery.account_id == shop.key.account_id, rung_at=func.now() - timedelta(seconds=6))
    assert len(shop.pick()) == 1


def test_one_receiver_takes_no_more_than_its_share_of_bells(shop, make_receiver):
    slow, quick = make_receiver(), make_receiver()
    crowded, quiet = shop.webhook(slow), shop.webhook(quick, events=["analysis.cancelled"])
    for _ in range(10):
        shop.complete()
    webhooks.ping(shop.desk, shop.key.account_id, quiet.id)
    rung = shop.pick(in_lane=4)
    of = {row.id: row.webhook_id for row in shop.outbox()}
    assert sorted(of[delivery_id] for delivery_id in rung) == sorted([crowded.id] * 4 + [quiet.id])
    assert shop.pick(in_lane=4) == []


def test_a_receiver_that_fails_is_tried_one_at_a_time(shop, receiver):
    made = shop.webhook(receiver)
    shop.change_webhook(made, failing_since=func.now())
    for _ in range(3):
        shop.complete()
    assert len(shop.pick(in_lane=4)) == 1
    assert shop.pick(in_lane=4) == []


def test_an_account_with_many_receivers_takes_no_more_than_its_share_of_bells(shop, new_shop, make_receiver):
    other = new_shop()
    other.webhook(make_receiver())
    for _ in range(6):
        shop.webhook(make_receiver())
    for _ in range(4):
        shop.complete()
    other.complete()
    with shop.desk.database.driver() as driver:
        rung = lanes.pick(driver, 200, in_lane=4, of_account=5)
    assert len({row.id for row in shop.outbox()} & set(rung)) == 5
    assert {row.id for row in other.outbox()} <= set(rung)


def test_two_webhooks_on_one_server_share_its_lane(shop, receiver):
    one = shop.webhook(receiver)
    two = webhooks.create(shop.desk, shop.key.account_id, url=receiver.url + "/other?x=1")
    assert one.lane == two.lane


def test_a_new_address_holds_for_what_still_waits(shop, make_receiver):
    old, new = make_receiver(), make_receiver()
    made = shop.webhook(old)
    shop.complete()
    webhooks.change(shop.desk, shop.key.account_id, made.id, {"url": new.url})
    shop.deliver()
    assert (len(old.messages), len(new.messages)) == (0, 1)
    assert shop.look(made).lane != made.lane


def test_sent_anew_it_is_the_same_message_under_the_same_id_with_all_its_tries(shop, receiver):
    made = shop.webhook(receiver)
    shop.complete()
    shop.deliver()
    webhooks.redeliver(shop.desk, shop.key.account_id, made.id, only(shop).id)
    shop.deliver()
    first, second = receiver.messages
    assert (first.id, first.body) == (second.id, second.body)
    assert [attempt.number for attempt in shop.history(made, first.id)] == [1, 2]


def test_of_many_attempts_only_the_latest_are_kept(shop, receiver):
    made = shop.webhook(receiver)
    shop.complete()
    receiver.behave = 500
    shop.change(Delivery.id == only(shop).id, attempts=KEPT_ATTEMPTS + 5)
    shop.deliver()
    shop.change(Delivery.id == only(shop).id, attempts=2 * KEPT_ATTEMPTS + 10, next_attempt_at=func.now())
    shop.deliver()
    assert [attempt.number for attempt in shop.history(made, only(shop).id)] == [2 * KEPT_ATTEMPTS + 11]


def test_a_span_is_replayed_and_nothing_outside_of_it(shop, receiver):
    made = shop.webhook(receiver)
    for _ in range(3):
        shop.complete()
    shop.deliver()
    first, second, third = shop.outbox()
    shop.change(Delivery.id == first.id, created_at=func.now() - timedelta(hours=2))
    shop.change(Delivery.id == third.id, created_at=func.now() + timedelta(hours=2))
    hour, now = timedelta(hours=1), shop.now()
    assert webhooks.replay(shop.desk, shop.key.account_id, made.id, now - hour, now + hour, None) == 1
    shop.deliver()
    assert receiver.ids.count(second.id) == 2
    assert len(receiver.messages) == 4


def test_deliveries_and_webhooks_of_submissions_go_when_their_time_is_up(shop, receiver):
    made = shop.webhook(receiver)
    shop.complete()
    shop.deliver()
    assert deliveries.forget(shop.desk) == 0
    old = func.now() - timedelta(days=31)
    shop.change(Delivery.account_id == shop.key.account_id, finished_at=old)
    with shop.desk.database.transaction() as session:
        told = webhooks.Told(receiver.url, None)
        webhooks.attach(session, shop.key.account_id, "an_00000000000000000000000000", told)
    [mine], _ = webhooks.page(
        shop.desk, shop.key.account_id, "an_00000000000000000000000000", before=None, limit=1
    )
    shop.change_webhook(mine, created_at=old)
    assert deliveries.forget(shop.desk) == 2
    assert shop.outbox() == []
    assert shop.look(made)

"""One throttle for all workers: the bucket, the breaker, and what the endpoint says about its limits."""

import dataclasses
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import redis
from endpoint import ROOT, completion
from hypothesis import given, settings, strategies
from sqlalchemy import func

from core.ids import new_id
from core.services import batches, dispatching
from core.services.batches import Order
from core.services.items import Item
from worker import limits
from worker.breaker import LocalBreaker, SharedBreaker
from worker.bucket import NAP, LocalBucket, PerMinute, SharedBucket
from worker.limits import Limit, Signals
from worker.scripts import Away, Script, Scripts, Step
from worker.throttle import Busy, Throttle, credential

START = 1_800_000_000.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def scripts(servers):
    opened = Scripts(servers[1].rsplit("/", 1)[0] + "/1")
    yield opened
    opened.close()


@pytest.fixture(params=["shared", "alone"])
def make_bucket(request, scripts, clock):
    """Makes a bucket on the test's clock, in Redis or in this process: all promises hold for both."""

    def make(requests=0, tokens=0):
        if request.param == "alone":
            return LocalBucket(PerMinute(requests, tokens), clock)
        return SharedBucket(scripts, new_id("test"), PerMinute(requests, tokens), clock)

    return make


@pytest.fixture(params=["shared", "alone"])
def breaker(request, scripts, clock):
    if request.param == "alone":
        return LocalBreaker(clock)
    return SharedBreaker(scripts, new_id("test"), clock)


def heard(status=200, **headers):
    return limits.read(status, {name.replace("_", "-"): value for name, value in headers.items()})


def answer(bucket, signals, tokens=10, used=10):
    bucket.settle(tokens, used, signals, 1.0)


# Trips to Redis


def test_of_two_steps_on_one_trip_each_is_done_once_though_redis_knows_the_script_of_only_one(scripts):
    key, add = new_id("test"), "return redis.call('INCRBY', KEYS[1], ARGV[1])"
    known, unknown = (Step(Script(f"{add} -- {new_id('lua')}"), key, (n,), int) for n in (1, 10))
    assert scripts.run(known) == 1
    assert scripts.both(known, unknown) == (2, 12)
    assert scripts.both(unknown, known) == (22, 23)


# What the headers say


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("20ms", 0.02),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("12", 12),
        ("0.5", 0.5),
        ("7m12.172s", 432.172),
        ("", None),
        ("soon", None),
        ("-1s", None),
        ("nan", None),
        ("9" * 5000, None),
        (None, None),
    ],
)
def test_resets_are_read_in_every_form_they_come_in(text, seconds):
    assert limits.duration(text) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "37"}, 37),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "1e9"}, limits.LONGEST_WAIT),
        ({"retry-after-ms": "250", "retry-after": "37"}, 0.25),
        ({"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT", "date": "Fri, 31 Dec 2027 23:59:29 GMT"}, 30),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0),
        ({"retry-after": "Fri, 99 Dec 2027 23:59:59 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "later"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_milliseconds_or_a_date(headers, seconds):
    assert limits.retry_after(headers) == seconds


def test_a_date_without_the_senders_clock_is_held_against_our_own():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < limits.retry_after({"retry-after": later}) <= 100


@pytest.mark.parametrize("value", ["0", "-1", "1e3", "ten", "", "9" * 30, "٣"])
def test_a_limit_that_makes_no_sense_counts_as_not_said(value):
    assert heard(x_ratelimit_limit_requests=value).requests.per_minute is None


# The bucket


def count(bucket, clock, seconds, *, bulk=True, tokens=10):
    """How many calls leave in so many seconds to somebody who always has another one."""
    end, left, placed = clock.now + seconds, 0, False
    while clock.now < end:
        wait = bucket.take(tokens, bulk=bulk, placed=placed)
        left += not wait
        clock.now += wait
        placed = 0 < wait <= NAP
    return left


@pytest.mark.parametrize("limit", [10, 60, 300, 3000])
def test_a_limit_is_nearly_used_and_never_exceeded(make_bucket, clock, limit):
    bucket = make_bucket(requests=limit)
    assert count(bucket, clock, 60) <= limit
    if limit >= 60:
        assert count(bucket, clock, 60) >= int(0.97 * limit)


def test_tokens_are_limited_beside_requests(make_bucket, clock):
    bucket = make_bucket(requests=6_000, tokens=60_000)
    assert 0.97 * 60 < count(bucket, clock, 60, tokens=1_000) <= 61


def test_an_estimate_that_was_too_high_is_given_back(make_bucket, clock):
    bucket = make_bucket(requests=600_000, tokens=60_000)
    bucket.take(10_000, bulk=False)
    assert bucket.take(1, bulk=False) == pytest.approx(10 * 60 / 59 - 1, abs=0.01)
    bucket.settle(10_000, 100, Signals(200), 0.0)
    assert bucket.take(1, bulk=False, placed=True) == 0


def test_a_call_that_never_left_gives_its_place_back(make_bucket):
    bucket = make_bucket(requests=60)
    assert bucket.take(1, bulk=False) == 0
    bucket.give_back(1)
    assert bucket.take(1, bulk=False) == 0
    assert bucket.take(1, bulk=False) > 0


def test_limits_are_learned_from_answers_and_those_that_are_set_win(make_bucket):
    signals = heard(x_ratelimit_limit_requests="60", x_ratelimit_remaining_requests="50")
    learning, fixed = make_bucket(), make_bucket(requests=6_000)
    for bucket in (learning, fixed):
        answer(bucket, signals)
        bucket.take(1, bulk=False)
    assert learning.take(1, bulk=False) == pytest.approx(60 / 59 - 1, abs=0.01)
    assert fixed.take(1, bulk=False) == 0


def test_a_limit_is_forgotten_after_a_minute_of_answers_that_do_not_name_it(make_bucket, clock):
    bucket = make_bucket()
    answer(bucket, heard(x_ratelimit_limit_requests="6"))
    clock.now += 3_000
    bucket.take(1, bulk=False)
    assert bucket.take(1, bulk=False) > 5
    answer(bucket, heard())
    assert bucket.take(1, bulk=False) == 0


def test_an_endpoint_without_limits_is_not_slowed(make_bucket):
    bucket = make_bucket()
    answer(bucket, heard())
    assert all(bucket.take(1_000, bulk=True) == 0 for _ in range(1_000))


def test_the_first_calls_go_carefully_until_the_endpoint_has_said_something(make_bucket):
    bucket = make_bucket()
    assert sum(bucket.take(10, bulk=True) == 0 for _ in range(100)) < 10


def test_a_call_that_waits_for_the_first_answer_leaves_soon_after_it(make_bucket, clock):
    bucket = make_bucket()
    waits = [bucket.take(10, bulk=True) for _ in range(100)]
    assert max(waits) <= 0.5
    answer(bucket, heard())
    clock.now += max(waits)
    assert all(bucket.take(10, bulk=True, placed=True) == 0 for _ in range(90))


def test_what_others_have_used_up_is_waited_for(make_bucket):
    bucket = make_bucket()
    answer(bucket, heard(x_ratelimit_limit_requests="60", x_ratelimit_remaining_requests="0"))
    assert bucket.take(1, bulk=False) == pytest.approx(60 / 59, abs=0.01)
    soon = make_bucket()
    empty = {"x_ratelimit_limit_requests": "60", "x_ratelimit_remaining_requests": "0"}
    answer(soon, heard(**empty, x_ratelimit_reset_requests="20ms"))
    assert soon.take(1, bulk=False) == pytest.approx(0.02, abs=0.001)


@pytest.mark.parametrize("status", [429, 503])
def test_no_call_leaves_before_a_retry_after_ends_and_then_they_leave_one_by_one(make_bucket, clock, status):
    bucket = make_bucket(requests=600)
    answer(bucket, heard(status, retry_after="30"), used=None)
    for _ in range(29):
        clock.now += 1
        assert bucket.take(10, bulk=False, placed=True) > 0
    clock.now = START + 30.001
    assert sum(bucket.take(10, bulk=False, placed=True) == 0 for _ in range(50)) == 1


def test_a_429_without_a_time_backs_off_longer_each_time(make_bucket, clock):
    bucket, waits = make_bucket(), []
    for _ in range(8):
        answer(bucket, heard(429), used=None)
        answer(bucket, heard(429), used=None)  # was on its way already: not a reason to wait longer
        waits.append(bucket.backlog())
        clock.now += waits[-1] + 1
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], abs=0.001)
    answer(bucket, heard())
    answer(bucket, heard(429), used=None)
    assert bucket.backlog() == pytest.approx(1, abs=0.001)


def test_a_used_up_quota_and_a_503_that_names_no_time_stop_nobody(make_bucket):
    bucket = make_bucket()
    answer(bucket, limits.read(429, {"retry-after": "60"}, has_quota=False), used=None)
    answer(bucket, heard(503), used=None)
    assert bucket.take(1, bulk=False) == 0


def test_interactive_calls_pass_bulk_calls_that_wait(make_bucket, clock):
    bucket = make_bucket(requests=600)
    while bucket.take(1, bulk=True) < 5:
        pass
    assert bucket.backlog() > 5
    assert bucket.take(1, bulk=False) < 0.2
    clock.now += 0.15
    assert bucket.take(1, bulk=False, placed=True) == 0


def test_nobody_waits_in_a_slot_for_longer_than_a_nap(make_bucket):
    bucket = make_bucket(requests=60)
    waits = [bucket.take(1, bulk=True) for _ in range(50)]
    assert max(waits) < NAP + 2
    assert waits[-1] == waits[-2] > NAP  # no place is kept for them


operations = strategies.lists(
    strategies.one_of(
        strategies.tuples(
            strategies.just("take"),
            strategies.integers(1, 5_000),
            strategies.booleans(),
            strategies.booleans(),
        ),
        strategies.tuples(strategies.just("give_back"), strategies.integers(1, 5_000)),
        strategies.tuples(
            strategies.just("settle"),
            strategies.sampled_from([200, 429, 500, 503]),
            strategies.one_of(strategies.none(), strategies.integers(1, 1_000)),
            strategies.one_of(strategies.none(), strategies.integers(0, 3)),
            strategies.one_of(strategies.none(), strategies.integers(0, 40)),
        ),
        strategies.tuples(strategies.just("pass"), strategies.integers(0, 100)),
    ),
    max_size=40,
)


def run(bucket, clock, step):
    match step:
        case ("take", tokens, bulk, placed):
            return bucket.take(tokens, bulk=bulk, placed=placed)
        case ("give_back", tokens):
            return bucket.give_back(tokens)
        case ("settle", status, limit, remaining, seconds):
            told = Limit(limit, remaining, seconds)
            return bucket.settle(700, 350, Signals(status, told, Limit(limit), seconds), 0.5)
    return bucket.backlog()


@given(operations, strategies.sampled_from([PerMinute(), PerMinute(90), PerMinute(0, 40_000)]))
@settings(max_examples=150, deadline=None)
def test_the_bucket_in_redis_and_the_one_alone_are_the_same(scripts, steps, per_minute):
    clock = Clock()
    buckets = SharedBucket(scripts, new_id("test"), per_minute, clock), LocalBucket(per_minute, clock)
    for step in steps:
        clock.now += step[1] / 7 if step[0] == "pass" else 0.013
        shared, alone = (run(bucket, clock, step) for bucket in buckets)
        assert (shared or 0) == pytest.approx(alone or 0, abs=0.01)


class Server:
    """An endpoint that refuses what is over its limit, and counts in one of the ways that they count."""

    def __init__(self, way, limit):
        self.way, self.limit = way, limit
        self.served, self.level, self.at, self.refused = deque(), float(limit), START, 0

    def asked(self, now):
        full = {"fixed": self._fixed, "sliding": self._sliding, "bucket": self._empty}[self.way](now)
        self.refused += full
        if not full:
            self.served.append(now)
            self.level -= 1

    def _fixed(self, now):
        return sum(at // 60 == now // 60 for at in self.served) >= self.limit

    def _sliding(self, now):
        return sum(at > now - 60 for at in self.served) >= self.limit

    def _empty(self, now):
        self.level, self.at = min(5, self.level + (now - self.at) * self.limit / 60), now
        return self.level < 1


@pytest.mark.parametrize("way", ["fixed", "sliding", "bucket"])
def test_however_the_endpoint_counts_97_percent_are_used_and_1_percent_refused_at_most(clock, way):
    """Five minutes at 300 a minute, from an idle start, with calls that take up to 0.2 s to arrive."""
    bucket, server, jitter = LocalBucket(PerMinute(300), clock), Server(way, 300), random.Random(1)
    clock.now += 90
    begin, arrivals = clock.now, []
    while clock.now < begin + 300:
        wait = bucket.take(10, bulk=True, placed=True)
        if not wait:
            arrivals.append(clock.now + jitter.uniform(0.01, 0.2))
        clock.now += wait + jitter.uniform(0, 0.02)
    for at in sorted(arrivals):
        server.asked(at)
    assert len(server.served) >= 0.97 * 300 * 5
    assert server.refused <= 0.01 * len(arrivals)


# The breaker


def fail(breaker, times, *, failed=True):
    return [breaker.tell(failed=failed, probe=False) for _ in range(times)][-1]


def test_the_breaker_opens_at_half_of_twenty_calls_and_not_before(breaker):
    fail(breaker, 10, failed=False)
    assert fail(breaker, 9) == ""
    assert breaker.ask(10).wait == 0
    assert fail(breaker, 1) == "opened"
    assert breaker.ask(10).wait == pytest.approx(5)


def test_failures_of_more_than_half_a_minute_ago_do_not_count(breaker, clock):
    fail(breaker, 19)
    clock.now += 31
    assert fail(breaker, 1) == ""


def test_after_its_rest_one_probe_leaves_and_closes_it(breaker, clock):
    fail(breaker, 20)
    assert fail(breaker, 5, failed=False) == ""  # late answers to calls that left before
    clock.now += 5.1
    assert breaker.ask(10) == (0, True)
    assert [breaker.ask(10) for _ in range(3)] == [(1, False)] * 3
    assert breaker.tell(failed=False, probe=True) == "closed"
    assert breaker.ask(10) == (0, False)
    assert fail(breaker, 19) == ""  # it counts anew


def test_each_probe_that_fails_doubles_the_rest_up_to_a_minute(breaker, clock):
    fail(breaker, 20)
    rests = []
    for _ in range(6):
        rests.append(breaker.rest())
        clock.now += rests[-1] + 0.1
        assert breaker.ask(10).probe
        assert breaker.tell(failed=True, probe=True) == "opened"
    assert rests == pytest.approx([5, 10, 20, 40, 60, 60])


def test_a_probe_that_never_comes_back_or_never_left_is_followed_by_another(breaker, clock):
    fail(breaker, 20)
    clock.now += 6
    assert breaker.ask(10).probe
    clock.now += 11
    assert breaker.ask(10).probe
    breaker.release()
    assert breaker.ask(10).probe


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (400, False), (429, False), (500, True), (503, True), (None, True)]
)
def test_only_5xx_and_silence_are_failures(status, failed):
    assert Signals(status).failed is failed


# All workers together


def test_the_credential_is_named_without_giving_it_away(scripted):
    name = credential(scripted)
    assert len(name) == 16
    assert name != credential(dataclasses.replace(scripted, openai_api_key="another"))
    assert scripted.openai_api_key not in name


@pytest.fixture
def limited(scripted):
    return dataclasses.replace(scripted, endpoint_requests_per_minute=600)


PROCESS = """
import sys, time
from worker.bucket import PerMinute, SharedBucket
from worker.scripts import Scripts
bucket = SharedBucket(Scripts(sys.argv[1]), sys.argv[2], PerMinute(1200), lambda: 1_800_000_000.0)
print(sum(bucket.take(1, bulk=False) == 0 for _ in range(50)))
"""


def test_two_processes_share_one_bucket(settings_of_redis):
    url, key = settings_of_redis, new_id("test")
    command = [sys.executable, "-c", PROCESS, url, key]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE) for _ in range(2)]
    taken = [int(process.communicate(timeout=60)[0]) for process in started]
    assert sum(taken) == math.ceil(1200 * 59 / 60 / 60)


@pytest.fixture
def settings_of_redis(servers):
    return servers[1].rsplit("/", 1)[0] + "/1"


def test_a_429_in_one_worker_stops_the_other(limited):
    one, other = Throttle(limited), Throttle(limited)
    with one.turn(10, bulk=False) as turn:
        turn.heard(heard(429, retry_after="60"))
    with pytest.raises(Busy) as caught, other.turn(10, bulk=False):
        pass
    assert 55 < caught.value.error.retry_after <= 60
    assert other.backlog() > 55
    one.close()
    other.close()


def hang():
    """A Redis that takes connections and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_a_worker_without_redis_goes_by_its_share_and_a_hung_redis_holds_it_up_once(limited):
    listener, url = hang()
    alone = Throttle(dataclasses.replace(limited, redis_url=url, endpoint_requests_per_minute=60))
    alone.share_with(4)
    with listener:
        with alone.turn(10, bulk=False):
            pass
        with pytest.raises(Away):
            alone._buckets[0].backlog()  # left alone for some seconds
        with alone.turn(10, bulk=False) as turn:
            turn.left = True
        assert alone._alone.take(10, bulk=False) == pytest.approx(4 * 60 / 59 - 1, abs=0.5)
    alone.close()


def test_a_retry_after_holds_though_redis_is_wiped(limited, settings_of_redis):
    throttle = Throttle(limited)
    with throttle.turn(10, bulk=False) as turn:
        turn.heard(heard(429, retry_after="60"))
    client = redis.Redis.from_url(settings_of_redis)
    client.delete(*client.keys(f"vitrine:throttle:{credential(limited)}*"))
    with pytest.raises(Busy), throttle.turn(10, bulk=False):
        pass
    throttle.close()


def test_calls_wait_their_turn_in_the_slot_where_it_comes_soon(limited):
    throttle, begin = Throttle(limited), time.monotonic()

    def ask():
        with throttle.turn(10, bulk=True) as turn:
            turn.heard(heard())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin > 1.0  # 20 calls at 10 a second, less what an idle bucket has
    throttle.close()


# In an analysis


def test_a_call_that_may_not_leave_is_not_in_the_books_and_uses_up_no_try(shop, script):
    script.say({"error": {"message": "slow down"}}, 429, Retry_After="37")
    shop.ask()
    row = shop.ask()
    assert (row.state, row.attempts, row.rung_at) == ("queued", 0, None)
    assert timedelta(seconds=30) < row.next_attempt_at - datetime.now(UTC) < timedelta(seconds=38)
    assert shop.calls(row.id) == []
    assert len(script.calls) == 1


def test_limits_and_usage_are_learned_from_the_answers_of_calls(shop, script, throttle):
    script.say(completion("hi"), x_ratelimit_limit_requests="6", x_ratelimit_remaining_requests="5")
    assert shop.ask().state == "completed"
    assert shop.submit()
    assert throttle._buckets[0].take(1, bulk=False) == 0
    assert throttle._buckets[0].take(1, bulk=False) > 5


def test_an_open_breaker_sends_items_back_without_a_try_and_a_probe_brings_them_on(shop, script, throttle):
    for _ in range(20):
        throttle._breakers[0].tell(failed=True, probe=False)
    row = shop.ask()
    assert (row.state, row.attempts, shop.calls(row.id)) == ("queued", 0, [])
    assert "left alone" in row.reason
    assert throttle.rest() > 0
    while throttle.rest():
        time.sleep(0.2)
    script.say(completion("well again"))
    shop.change(row.id, next_attempt_at=func.now())
    assert shop.run(row.id).state == "completed"
    assert throttle.rest() == 0


def test_twenty_failures_in_a_row_open_the_breaker(shop, script, throttle):
    for _ in range(20):
        script.say({"error": {"message": "oops"}}, 500)
        shop.ask()
    assert throttle.rest() > 0
    assert len(script.calls) == 20
    shop.ask()
    assert len(script.calls) == 20


@pytest.fixture
def batch_of(shop, desk):
    """Submits a batch of so many questions about one photo."""

    def submit(count):
        content = shop.look(shop.submit()).images[0].file_id
        preset = desk.presets.latest("question")
        items = [
            Item(
                str(n),
                None,
                preset,
                f"{n}?",
                None,
                "scripted",
                50,
                0.0,
                "auto",
                {},
                images=[content],
                views=[None],
            )
            for n in range(count)
        ]
        order = Order(metadata={}, window=timedelta(hours=1), priority="normal", pilot=None)
        return batches.submit(desk, shop.key, items, order, "req-1").batch.id

    return submit


NO_QUOTA = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}


def test_a_used_up_quota_pauses_the_batch_and_its_items_wait(shop, script, desk, batch_of):
    batch_id = batch_of(3)
    items, _ = batches.results(desk, shop.key.account_id, batch_id, after=-1, limit=10, state=None)
    script.say(NO_QUOTA, 429)
    first = shop.run(items[0].id)
    standing = batches.get(desk, shop.key.account_id, batch_id)
    assert (standing.batch.state, standing.batch.reason) == (
        "paused",
        "The endpoint's account has no quota left.",
    )
    assert (first.state, first.attempts, first.rung_at) == ("queued", 0, None)
    assert [call.state for call in shop.calls(first.id)] == ["refused"]
    assert shop.run(items[1].id).state == "queued"  # nothing more is asked
    assert len(script.calls) == 1
    batches.resume(desk, shop.key.account_id, batch_id)
    script.say(completion("paid again"))
    assert shop.run(first.id).state == "completed"


def test_a_quota_that_is_used_up_while_a_batch_is_cancelled_leaves_it_so(
    shop, script, desk, batch_of, preparer, monkeypatch
):
    batch_id = batch_of(1)
    [item], _ = batches.results(desk, shop.key.account_id, batch_id, after=-1, limit=10, state=None)
    script.say(NO_QUOTA, 429)
    prepare = preparer.prepare

    def cancel_meanwhile(*args):
        batches.cancel(desk, shop.key.account_id, batch_id)
        return prepare(*args)

    monkeypatch.setattr(preparer, "prepare", cancel_meanwhile)
    assert shop.run(item.id).state == "queued"
    dispatching.move_on(desk)
    assert shop.look(item.id).state == "cancelled"
    dispatching.move_on(desk)
    assert batches.get(desk, shop.key.account_id, batch_id).batch.state == "cancelled"

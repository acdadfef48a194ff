"""A limited endpoint, two workers: the limit is used, hardly ever met, and what it asks for is kept to."""

import random
from datetime import UTC, datetime, timedelta

import pytest

LIMIT = 300
"""Requests per minute."""


@pytest.fixture
def session(quick):
    yield quick.session()
    quick.analyst.reset()
    quick.forget_limits()


def submit(live, session, photo, count):
    """A batch of so many questions about one photo; its id."""
    files = {"file": ("p.jpg", photo(random.choice(["teal", "navy"])))}
    asked = {"question": "?!", "wait": 20}
    alone = session.post(f"{live.url}/api/v1/analyses", files=files, data=asked, timeout=30).json()
    file_id = alone["images"][0]["file_id"]
    inputs = [{"images": [{"file_id": file_id}], "question": f"{n}?"} for n in range(count)]
    answer = session.post(f"{live.url}/api/v1/batches", json={"inputs": inputs}, timeout=30)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def look(live, session, batch_id):
    return session.get(f"{live.url}/api/v1/batches/{batch_id}", timeout=10).json()


def calls(live):
    return live.analyst.ledger(limit=10_000)["calls"]


def at(call):
    return datetime.fromisoformat(call["at"])


@pytest.mark.faults
def test_a_limited_endpoint_is_used_nearly_in_full_and_refuses_1_percent_at_most(quick, session, photo):
    """Its bucket holds two seconds, so that neither a burst nor a lull could pass for a steady rate.

    A machine with other work to do stalls now and then: 97 % are held by the simulation beside the tests
    of the bucket, and measured by `dev bench throttle`.
    """
    quick.analyst.turn(requests_per_minute=LIMIT, rate_burst=2, latency=0.1)
    batch_id = submit(quick, session, photo, 110)
    quick.wait_for(lambda: look(quick, session, batch_id)["status"] == "completed", every=0.5)
    seen = calls(quick)[20:]  # after the burst
    used = (len(seen) - 1) / (at(seen[-1]) - at(seen[0])).total_seconds() / (LIMIT / 60)
    refused = sum(call["status"] == 429 for call in calls(quick)) / len(calls(quick))
    assert 0.9 <= used <= 1.01
    assert refused <= 0.01


@pytest.mark.faults
def test_no_worker_asks_before_a_retry_after_ends(quick, session, photo):
    quick.analyst.turn(latency=0.05)
    batch_id = submit(quick, session, photo, 150)
    quick.wait_for(lambda: len(calls(quick)) > 20)
    quick.analyst.turn(requests_per_minute=12, rate_burst=5)  # one at once, then 5 s
    quick.wait_for(lambda: any(call["status"] == 429 for call in calls(quick)))
    first = next(call for call in calls(quick) if call["status"] == 429)
    quick.analyst.turn(requests_per_minute=0)
    on_its_way, end = timedelta(seconds=1), timedelta(seconds=5)
    quick.wait_for(lambda: datetime.now(UTC) - at(first) > end)
    quick.forget_limits()  # that of 12 a minute
    quick.wait_for(lambda: look(quick, session, batch_id)["status"] == "completed", every=0.5)
    assert not [call for call in calls(quick) if on_its_way < at(call) - at(first) < end]
    assert look(quick, session, batch_id)["counts"]["completed"] == 150


@pytest.mark.faults
def test_a_used_up_quota_pauses_the_batch_and_fails_none_of_its_items(quick, session, photo):
    quick.analyst.turn(latency=0.05)
    batch_id = submit(quick, session, photo, 100)
    quick.wait_for(lambda: len(calls(quick)) > 10)
    quick.analyst.turn(insufficient_quota=True)
    paused = quick.wait_for(
        lambda: (view := look(quick, session, batch_id))["status"] == "paused" and view, 30, every=0.2
    )
    assert "quota" in paused["reason"]
    quick.analyst.turn(insufficient_quota=False)
    assert session.post(f"{quick.url}/api/v1/batches/{batch_id}/resume", timeout=10).ok
    quick.wait_for(lambda: look(quick, session, batch_id)["status"] == "completed", every=0.5)
    assert look(quick, session, batch_id)["counts"]["completed"] == 100

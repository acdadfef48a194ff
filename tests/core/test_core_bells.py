"""Bells, held to what Celery itself would send."""

import base64
import json

import pytest
import redis

from core.queue import PREFIX, WEBHOOKS, Task, celery_app

QUEUE = PREFIX + WEBHOOKS
OWN = {"id", "root_id", "correlation_id", "delivery_tag", "reply_to", "origin"}
"""Of each message, or of whoever sends it."""


@pytest.fixture
def messages(settings):
    """Take all messages out of the queue, the first one sent first."""
    valkey = redis.Redis.from_url(settings.redis_url)

    def take():
        found = [json.loads(message) for message in valkey.lrange(QUEUE, 0, -1)[::-1]]
        valkey.delete(QUEUE)
        return found

    take()
    yield take
    take()


def alike(message):
    fields = {**message, **message["headers"], **message["properties"]}
    body = json.loads(base64.b64decode(fields.pop("body")))
    return {"body": body, **{name: value for name, value in fields.items() if name not in OWN}} | {
        "headers": sorted(message["headers"]),
        "properties": sorted(message["properties"]),
    }


def test_a_bell_is_the_message_that_celery_itself_would_send(desk, messages):
    celery_app.send_task(Task.DELIVER, ["dlv_1"], queue=WEBHOOKS, retry=False)
    [theirs] = messages()
    desk.doorbell.ring(Task.DELIVER, ["dlv_1"], WEBHOOKS)
    [ours] = messages()
    assert alike(ours) == alike(theirs)
    assert ours["headers"]["id"] == ours["headers"]["root_id"] == ours["properties"]["correlation_id"]


def test_a_thousand_bells_are_told_apart_and_heard_in_their_order(desk, messages):
    rows = [f"dlv_{number}" for number in range(1_000)]
    desk.doorbell.ring(Task.DELIVER, rows, WEBHOOKS)
    found = messages()
    assert [alike(message)["body"][0] for message in found] == [[row] for row in rows]
    assert len({message["properties"]["delivery_tag"] for message in found}) == 1_000


def test_without_rows_nothing_is_rung(desk, messages):
    desk.doorbell.ring(Task.DELIVER, [], WEBHOOKS)
    assert messages() == []

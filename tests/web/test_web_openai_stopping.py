"""A web process that is told to stop while chats wait in it; these tests play the worker."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from endpoint import completion
from waiting import wait_until
from webprocess import WebProcess

from core.pricing import Usage, WorstCase
from core.services import analyses, outcomes
from core.services.outcomes import Answer, Closing


@pytest.fixture
def server(environment, folder):
    process = WebProcess(environment, folder, WEB_THREADS="40", REQUEST_TIMEOUT="60")
    yield process
    process.stop()


def ask(server, key, text, **more):
    return requests.post(
        f"{server.url}/v1/chat/completions",
        headers={"Authorization": f"Bearer {key.secret}"},
        json={"messages": [{"role": "user", "content": text}], **more},
        timeout=60,
    )


def rows(desk, key):
    return analyses.page(desk, key.key.account_id, before=None, limit=10, filters={})[0]


def answer(desk, row):
    claimed = outcomes.claim(desk, row.id, "test")
    call_id = outcomes.reserve(desk, claimed, WorstCase(0, None), [])
    said = Answer("Yes.", None, None, "stop", completion("Yes."))
    outcomes.succeed(desk, claimed, said, Closing.settled(call_id, Usage(1, 1), None, None))


def test_it_waits_for_chats_that_are_answered_soon_and_has_the_others_sent_again(server, desk, new_key):
    soon, late, streamed = (new_key(unlimited=True) for _ in range(3))
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(ask, server, soon, "?"),
            pool.submit(ask, server, late, "?"),
            pool.submit(ask, server, streamed, "?", stream=True),
        ]
        wait_until(lambda: all(rows(desk, key) for key in (soon, late, streamed)))
        stopped = pool.submit(server.stop)  # fails where it is not over before its graceful timeout
        wait_until(lambda: not server.takes_connections())
        answer(desk, rows(desk, soon)[0])
        answered, refused, told = (post.result() for post in asked)
        stopped.result()
    assert answered.json()["choices"][0]["message"]["content"] == "Yes."
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert "x-should-retry" not in refused.headers
    assert [row.state for row in rows(desk, late)] == ["cancelled"]
    assert "event: closing" not in told.text
    if told.ok:  # it had begun to stream when it was told to stop
        error = told.text.strip().split("\n\n")[-2]
        told_error = json.loads(error.removeprefix("data: "))["error"]
    else:
        told_error = told.json()["error"]
    assert told_error["code"] == "unavailable"

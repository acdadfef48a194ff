"""A turn that is followed live."""

import json
import threading
import time

import pytest

from core.errors import UpstreamError
from core.services import analyses, outcomes


def events_of(answer):
    """(name, id, data) of each event."""
    found = []
    for block in "".join(part.decode() for part in answer.response).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
        if "event" in fields:
            found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


@pytest.fixture
def stream(shop):
    """Say something and follow it, while a worker does its part."""

    def run(work, session, message="?", headers=None, **body):
        posted = shop.client.post(
            "/api/chat/stream",
            json={"session_id": session, "message": message, **body},
            headers=headers,
            buffered=False,
        )
        if posted.status_code != 200:
            return posted
        made = posted.headers["Location"].rsplit("/", 1)[1]
        thread = threading.Thread(target=work, args=(made,))
        thread.start()
        found = events_of(posted)
        thread.join()
        return found

    return run


def test_a_stream_brings_the_text_and_then_what_chat_answers(shop, stream):
    session = shop.begin()
    events = stream(lambda made: shop.answer(made, "한글 👩‍👩‍👧‍👦"), session)
    assert "".join(data["text"] for name, _, data in events if name == "token") == "한글 👩‍👩‍👧‍👦"
    assert [name for name, _, _ in events][-2:] == ["result", "done"]
    result = events[-2][2]
    answer = shop.listed(session)[1]
    assert (result["message_id"], result["content"]) == (answer["id"], answer["content"])
    assert result["usage"]["total_tokens"] == 120
    assert (result["session_id"], result["role"]) == (session, "assistant")


def test_the_endpoint_is_asked_for_a_stream_only_where_somebody_follows(shop, stream):
    session, claims = shop.begin(), []

    def work(made):
        claims.append(shop.claim(made))
        analyses.cancel(shop.desk, shop.account_id, made)

    stream(work, session)
    claims.append(shop.claim(shop.post(session, "?").json["analysis_id"]))
    assert [claimed.streamed for claimed in claims] == [True, False]


def test_tool_calls_come_with_the_result(shop, stream, call):
    session = shop.begin()
    events = stream(lambda made: shop.answer(made, calls=[call("a"), call("b")]), session)
    assert "token" not in [name for name, _, _ in events]
    assert events[-2][2]["tool_calls"] == [call("a"), call("b")]


def test_a_failure_is_an_event_and_frees_the_session(shop, stream):
    session = shop.begin()
    events = stream(
        lambda made: outcomes.fail(shop.desk, shop.claim(made), UpstreamError("It failed."), None), session
    )
    name, _, data = events[-2]
    assert (name, data["error"], data["error_code"]) == ("error", "It failed.", "upstream_error")
    assert shop.post(session, "?").status_code == 202


def test_who_comes_back_with_key_and_place_is_told_only_the_rest_and_nothing_is_said_twice(shop, stream):
    session, text = shop.begin(), "A long answer. " * 400
    once = {"Idempotency-Key": "turn-1"}
    events = stream(lambda made: shop.answer(made, text), session, headers=once)
    tokens = [(place, data["text"]) for name, place, data in events if name == "token"]
    assert "".join(told for _, told in tokens) == text
    for cut, (place, _) in enumerate(tokens, 1):
        again = stream(lambda _: None, session, headers={**once, "Last-Event-ID": place})
        rest = "".join(data["text"] for name, _, data in again if name == "token")
        assert "".join(told for _, told in tokens[:cut]) + rest == text
    done = stream(lambda _: None, session, headers={**once, "Last-Event-ID": events[-1][1]})
    assert (done.status_code, done.text) == (204, "")
    assert done.headers["Location"].endswith(events[0][2]["id"])
    assert len(shop.listed(session)) == 2


def test_the_place_in_an_earlier_answer_is_forgotten_by_what_is_said_anew(shop, stream):
    session = shop.begin()
    first = stream(lambda made: shop.answer(made, "One."), session)
    for _, stale, _ in first:
        events = stream(lambda made: shop.answer(made, "Two."), session, headers={"Last-Event-ID": stale})
        assert "".join(data["text"] for name, _, data in events if name == "token") == "Two."
        assert (events[-2][2]["content"], events[-2][2]["streamed"]) == ("Two.", True)
    refused = stream(lambda _: None, session, headers={"Last-Event-ID": "none"})
    assert (refused.status_code, refused.json["error_code"]) == (400, "invalid_request")
    assert len(shop.listed(session)) == 2 * (1 + len(first))


def test_a_session_that_answers_refuses_a_stream_too(shop, stream):
    session = shop.begin()
    shop.post(session, "?")
    refused = stream(lambda _: None, session)
    assert (refused.status_code, refused.json["error_code"]) == (409, "conflict")


def test_a_session_deleted_while_it_is_followed_ends_the_stream(shop, stream):
    session = shop.begin()

    def work(_):
        time.sleep(0.1)
        assert shop.client.delete(f"/api/sessions/{session}").status_code == 200

    events = stream(work, session)
    assert "result" not in [name for name, _, _ in events]

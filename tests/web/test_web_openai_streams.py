"""A stream of /v1/chat/completions, while these tests play the worker."""

import json
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from endpoint import completion

from core.errors import UpstreamError
from core.events import Addition
from core.pricing import Usage, WorstCase
from core.services import analyses, outcomes
from core.services.outcomes import Answer, Closing
from webapp.openai_api import waiting

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Worker:
    """Takes the one analysis of an account, and does with it what a test wants."""

    def __init__(self, desk, account_id, seen):
        self.desk = desk
        self._seen = seen
        while not (rows := analyses.page(desk, account_id, before=None, limit=1, filters={})[0]):
            time.sleep(0.02)
        self.claimed = outcomes.claim(desk, rows[0].id, "test")
        self.call_id = outcomes.reserve(desk, self.claimed, WorstCase(0, None), [])

    def tell(self, number, *chunks, last=0, call=None):
        entry = {"call": call or self.call_id, "number": number, "chunks": json.dumps(chunks), "last": last}
        [added] = self.desk.events.append([Addition(self.claimed.id, entry, begins=True, looks=True)])
        assert added.taken

    def wait_until_seen(self):
        """Until the client has the first event: what is final before that is not relayed at all."""
        assert self._seen.wait(30)

    def succeed(self, text):
        settled = Closing.settled(self.call_id, Usage(), None, None)
        answer = Answer(text, None, None, "stop", completion(text))
        outcomes.succeed(self.desk, self.claimed, answer, settled)

    def fail(self):
        outcomes.fail(self.desk, self.claimed, UpstreamError(), None)


@pytest.fixture
def stream(client, desk, key):
    """The events of a chat that a worker does something with meanwhile."""

    def run(work, **options):
        seen = threading.Event()
        thread = threading.Thread(target=lambda: work(Worker(desk, key.key.account_id, seen)))
        thread.start()
        messages = [{"role": "user", "content": "?"}]
        answer = client.post(
            "/v1/chat/completions", json={"messages": messages, "stream": True, **options}, buffered=False
        )
        with closing(answer):  # else its place among the streams stays taken
            for event in answer.response:
                text = event.decode() if isinstance(event, bytes) else event
                if text.startswith("data: {"):
                    seen.set()
                    yield json.loads(text.removeprefix("data: "))
                elif text.startswith("data: "):
                    yield text.removeprefix("data: ").strip()
        thread.join()

    return run


def said(text, **more):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "up-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def texts(events):
    return [event["choices"][0]["delta"].get("content") for event in events if event.get("choices")]


def test_chunks_go_on_while_the_answer_is_still_being_made(stream):
    def work(worker):
        worker.tell(0, said("A red "))
        worker.wait_until_seen()
        worker.tell(1, said("mug."), {**said(""), "choices": [], "usage": USAGE})
        worker.tell(2, last=1)
        worker.succeed("A red mug.")

    events = stream(work)
    first = next(events)
    assert first["choices"][0]["delta"]["content"] == "A red "
    assert first["id"].startswith("chatcmpl-")
    second, done = events
    assert (texts([second]), done) == (["mug."], "[DONE]")


def test_an_answer_that_has_begun_is_not_cut_however_long_it_takes(stream, monkeypatch):
    passed = [0.0]
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))

    def work(worker):
        worker.tell(0, said("A red "))
        worker.wait_until_seen()
        passed[0] = 100_000
        worker.tell(1, said("mug."))
        time.sleep(1.5)  # longer than between two looks
        worker.tell(2, last=1)
        worker.succeed("A red mug.")

    *chunks, done = stream(work)
    assert (texts(chunks), done) == (["A red ", "mug."], "[DONE]")


@pytest.mark.parametrize("asked", [False, True])
def test_the_endpoints_usage_goes_on_only_where_it_was_asked_for(stream, asked):
    def work(worker):
        worker.tell(0, said("Red.", usage=None), {**said(""), "choices": [], "usage": USAGE})
        worker.wait_until_seen()
        worker.tell(1, last=1)
        worker.succeed("Red.")

    *chunks, done = stream(work, stream_options={"include_usage": asked})
    assert done == "[DONE]"
    assert [chunk.get("usage") for chunk in chunks if "usage" in chunk] == ([None, USAGE] if asked else [])


def test_where_nothing_was_told_the_finished_answer_is_cut_into_chunks(stream):
    *chunks, done = stream(lambda worker: worker.succeed("A red mug. " * 40))
    assert done == "[DONE]"
    assert "".join(text or "" for text in texts(chunks)) == "A red mug. " * 40
    assert len(chunks) > 3


def test_a_log_that_was_lost_and_is_told_anew_is_shown_once(stream):
    def work(worker):
        worker.tell(0, said("A "))
        worker.wait_until_seen()
        worker.tell(0, said("A "), said("red "))
        worker.tell(1, said("red "), said("mug."))
        worker.tell(3, last=1)
        worker.succeed("A red mug.")

    *chunks, done = stream(work)
    assert (texts(chunks), done) == (["A ", "red ", "mug."], "[DONE]")


@pytest.mark.parametrize(("number", "call"), [(2, None), (0, "call_of_another")])
def test_a_gap_or_a_second_beginning_is_an_error_and_no_mixture(stream, number, call):
    def work(worker):
        worker.tell(0, said("A red "))
        worker.wait_until_seen()
        worker.tell(number, said("A blue "), call=call)
        worker.succeed("A blue mug.")

    *chunks, error, done = stream(work)
    assert (texts(chunks), error["error"]["code"], done) == (["A red "], "upstream_error", "[DONE]")


def test_a_failure_after_the_beginning_is_an_event(stream):
    def work(worker):
        worker.tell(0, said("A red "))
        worker.wait_until_seen()
        worker.fail()

    chunk, error, done = stream(work)
    assert (texts([chunk]), error["error"]["type"], done) == (["A red "], "server_error", "[DONE]")

"""Conversations with the whole system: web processes, workers, and an endpoint that measures photos."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from offered import TOOLS, red
from sqlalchemy import func, select, update

from core.models import Analysis, ChatSession


class Talker:
    """A client with sessions of its own."""

    def __init__(self, live, session):
        self.live, self.session = live, session

    def begin(self, **options):
        return self.session.post(f"{self.live.url}/api/sessions", json=options, timeout=30).json()["id"]

    def say(self, session_id, message=None, **body):
        body |= {} if message is None else {"message": message}
        return self.session.post(
            f"{self.live.url}/api/chat", json={"session_id": session_id, **body}, timeout=60
        )

    def listed(self, session_id):
        path = f"{self.live.url}/api/sessions/{session_id}/messages?limit=100"
        return self.session.get(path, timeout=30).json()["data"]


@pytest.fixture
def talker(quick):
    return Talker(quick, quick.session())


def test_a_photo_is_talked_about_over_several_turns_each_with_its_usage_and_cost(talker):
    session = talker.begin(system="You are brief.")
    image = {"base64": base64.b64encode(red()).decode(), "name": "red.jpg"}
    first = talker.say(session, "What colour is it?", images=[image])
    second = talker.say(session, "무슨 색이에요? 👩‍👩‍👧‍👦")
    assert (first.status_code, second.status_code) == (200, 200), first.text + second.text
    assert "red" in first.json()["content"]
    rows = talker.listed(session)
    assert [row["role"] for row in rows] == ["user", "assistant"] * 2
    assert rows[3]["content"] == second.json()["content"]
    assert rows[2]["content"] == "무슨 색이에요? 👩‍👩‍👧‍👦"
    assert second.json()["usage"]["prompt_tokens"] > first.json()["usage"]["prompt_tokens"]
    assert second.json()["usage"]["prompt_tokens_details"]["image_tokens"] > 0
    assert second.json()["cost"]["total_cost"] == 0


def test_two_tools_are_called_at_once_and_their_answers_answered(talker):
    session = talker.begin()
    image = {"base64": base64.b64encode(red()).decode()}
    called = talker.say(session, "Note it.", images=[image], tools=TOOLS, tool_choice="required")
    calls = called.json()["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["note_colors", "note_size"]
    answers = [{"role": "tool", "tool_call_id": call["id"], "content": "noted"} for call in calls]
    refused = talker.say(session, messages=answers[:1], tools=TOOLS)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "invalid_tool_call")
    done = talker.say(session, messages=answers, tools=TOOLS)
    assert done.status_code == 200, done.text
    assert done.json()["content"]
    assert [row["role"] for row in talker.listed(session)] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]


def test_an_answer_with_a_form_comes_as_data(talker):
    session = talker.begin()
    schema = {"type": "object", "properties": {"width": {"type": "integer"}}, "required": ["width"]}
    form = {"type": "json_schema", "json_schema": {"name": "size", "schema": schema}}
    image = {"base64": base64.b64encode(red()).decode()}
    answer = talker.say(session, "How wide?", images=[image], response_format=form)
    assert answer.json()["data"] == {"width": 320}


def test_of_fifty_posts_at_once_one_is_answered_and_none_comes_between(quick, talker):
    quick.analyst.turn(latency=1)
    session = talker.begin()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: talker.say(session, f"{number}?"), range(50)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 202, 409, 503}, set(statuses)
    rows = talker.listed(session)
    assert [row["role"] for row in rows] == ["user", "assistant"] * (len(rows) // 2)
    assert len(rows) // 2 == sum(status in {200, 202} for status in statuses) >= 1
    assert all("wait for that answer" in each.json()["error"] for each in answers if each.status_code == 409)


def test_a_killed_worker_locks_no_session(quick, talker):
    quick.start_doomed()
    quick.analyst.turn(latency=3)
    sessions = [talker.begin() for _ in range(24)]  # more than the others run and hold ready
    mine = Analysis.worker.startswith("doomed") & (Analysis.state == "running")

    def held():
        with quick.desk.database.transaction() as database:
            return database.scalar(select(func.count()).where(mine))

    with ThreadPoolExecutor(24) as pool:
        saying = [pool.submit(talker.say, session, "?") for session in sessions]
        quick.wait_for(held)
        quick.kill("doomed")
        quick.analyst.turn(latency=0)
        assert {future.result().status_code for future in saying} <= {200, 202}

    def answered(session):
        return [row["status"] for row in talker.listed(session)] == ["completed"] * 2

    for session in sessions:
        quick.wait_for(lambda each=session: answered(each))
        assert talker.say(session, "And?").status_code == 200


def test_what_belonged_to_a_session_that_expired_is_soon_gone_too(talker):
    session, live = talker.begin(), talker.live
    image = {"base64": base64.b64encode(red()).decode()}
    said = talker.say(session, "What colour is it?", images=[image]).json()
    with live.desk.database.transaction() as sql:
        long_ago = {"last_used_at": func.now() - live.desk.settings.session_timeout}
        sql.execute(update(ChatSession).where(ChatSession.id == session).values(long_ago))
    looked = talker.session.get(f"{live.url}/api/sessions/{session}", timeout=30)
    assert (looked.status_code, looked.json()["error_code"]) == (404, "not_found")
    for path in (f"analyses/{said['analysis_id']}", f"analyses/{said['analysis_id']}/stream"):
        assert live.wait_for(lambda path=path: refusal(talker, path), seconds=60) == "not_found"
    assert talker.session.get(f"{live.url}/api/v1/files", timeout=30).json()["data"] == []


def refusal(talker, path):
    """Why there is nothing at a path; None while there is."""
    answer = talker.session.get(f"{talker.live.url}/api/v1/{path}", timeout=30)
    return None if answer.ok else answer.json()["error_code"]

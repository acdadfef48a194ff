"""Conversations in this process: the tests ask over HTTP, play the worker, and look at what was asked."""

import dataclasses

import pytest
from endpoint import completion
from sqlalchemy import event, update

from core.models import ChatSession
from core.pricing import Usage, WorstCase
from core.services import analyses, outcomes, turns
from core.services.outcomes import Answer, Closing
from webapp.app import create_app


class Shop:
    """One account, which talks and hears what a test wants it to hear."""

    def __init__(self, client, desk, key):
        self.client, self.desk, self.key = client, desk, key
        self.account_id = key.key.account_id

    def begin(self, **options):
        made = self.client.post("/api/sessions", json=options)
        assert made.status_code == 201, made.text
        return made.json["id"]

    def post(self, session_id, message=None, *, headers=None, **body):
        """Say something; it is not answered within the request, for nobody works here."""
        body |= {} if message is None else {"message": message}
        return self.client.post("/api/chat", json={"session_id": session_id, **body}, headers=headers)

    def say(self, session_id, message=None, answer="Yes.", calls=None, **body):
        """Say something and let it be answered; the analysis."""
        posted = self.post(session_id, message, **body)
        assert posted.status_code == 202, posted.text
        return self.answer(posted.json["analysis_id"], answer, calls)

    def claim(self, analysis_id):
        return outcomes.claim(self.desk, analysis_id, "test")

    def answer(self, analysis_id, text="Yes.", calls=None):
        """Do as a worker does."""
        claimed = self.claim(analysis_id)
        reply = completion(text)
        if calls is not None:
            reply["choices"][0]["message"] |= {"content": None, "tool_calls": calls}
        call_id = outcomes.reserve(self.desk, claimed, WorstCase(0, None), [])
        closing = Closing.settled(call_id, Usage(100, 20), None, None)
        said = Answer("" if calls is not None else text, None, None, "stop", reply)
        outcomes.succeed(self.desk, claimed, said, closing)
        return claimed

    def asked(self, analysis_id):
        """The messages that the endpoint is to be sent."""
        return self.claim(analysis_id).body["messages"]

    def listed(self, session_id, **query):
        found = self.client.get(f"/api/sessions/{session_id}/messages", query_string={"limit": 100, **query})
        assert found.status_code == 200, found.text
        return found.json["data"]

    def rows(self):
        return analyses.page(self.desk, self.account_id, before=None, limit=100, filters={})[0]

    def age(self, session_id, age):
        """Turn the clock for one session: as if it had been used last so long ago."""
        values = {"last_used_at": ChatSession.last_used_at - age}
        with self.desk.database.transaction() as session:
            session.execute(update(ChatSession).where(ChatSession.id == session_id).values(values))

    def history(self, session_id, turns_of_it):
        """Many turns that were answered, stored the short way."""
        for number in range(turns_of_it):
            made = turns.post(
                self.desk, self.key.key, session_id, turns.Turn(said=[turns.Said("user", f"{number}?")]), "r"
            )
            self.answer(made, f"{number}.")


@pytest.fixture
def opened(settings, desk):
    """An app that waits for nobody unless it is told to, under settings of its own; and its desk."""

    def make(**changes):
        changed = dataclasses.replace(settings, **{"request_timeout": 0.01, **changes})
        own = dataclasses.replace(desk, settings=changed)
        return create_app(changed, own), own

    return make


@pytest.fixture
def shop_of(opened, new_key):
    """An account under these settings."""

    def make(key=None, **changes):
        app, own = opened(**changes)
        key = key or new_key(unlimited=True)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
        return Shop(client, own, key)

    return make


@pytest.fixture
def shop(shop_of):
    return shop_of()


@pytest.fixture
def statements(desk):
    """Every statement that Postgres was sent, while a test counts."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(desk.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(desk.database.engine, "before_cursor_execute", note)


def call(call_id, name="stock"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


@pytest.fixture(name="call", scope="session")
def call_maker():
    return call

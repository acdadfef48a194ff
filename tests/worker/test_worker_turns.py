"""A turn of a conversation through the worker: what the endpoint is sent, and what is made of its reply."""

import json

import pytest
from endpoint import completion

from core.services import sessions, turns
from core.services.context import Again, Said
from core.services.models import sampling
from core.services.turns import Turn
from webapp.uploads import Spool

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
FORM = {"type": "json_schema", "json_schema": {"name": "colour", "schema": SCHEMA}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "stock", "arguments": "{}"}}


@pytest.fixture
def session(shop):
    made = sessions.create(shop.desk, shop.key, system="Brief.", images=Again.KEEP, metadata={})
    return made.id


@pytest.fixture
def say(shop, session):
    """Say something in the session and run it."""

    def run(words, **more):
        made = turns.post(shop.desk, shop.key, session, Turn(said=[Said("user", words)], **more), "req-1")
        return shop.run(made)

    return run


def upload(content):
    spool = Spool(10_000_000)
    spool.write(content)
    return spool.upload("photo.jpg")


def test_the_endpoint_is_sent_the_whole_conversation_with_its_images_prepared(shop, script, say, photo):
    script.say(completion("Red."))
    script.say(completion("Blue."))
    say("Which?", images=[upload(photo("red"))])
    row = say("And this?", images=[upload(photo("blue"))])
    first, second = (call["body"] for call in script.calls)
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][:2] == first["messages"]
    assert second["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert (second["temperature"], second["max_tokens"]) == (0.2, 1024)
    assert (row.state, row.answer) == ("completed", "Blue.")


def test_an_answer_that_was_to_have_a_form_is_held_against_it(script, say):
    script.say(completion(json.dumps({"colour": "red"})))
    script.say(completion(json.dumps({"size": 3})))
    fits, fails = say("Which?", response_format=FORM), say("Which?", response_format=FORM)
    assert (fits.state, fits.data) == ("completed", {"colour": "red"})
    assert (fails.state, fails.error_code, fails.answer) == ("failed", "invalid_output", '{"size": 3}')
    assert fails.prompt_tokens == 100
    assert script.calls[0]["body"]["response_format"] == FORM


def test_tool_calls_have_no_form(script, say):
    reply = completion(None, finish="tool_calls")
    reply["choices"][0]["message"]["tool_calls"] = [CALL]
    script.say(reply)
    assert say("Which?", response_format=FORM, tools={"tools": [{"type": "function"}]}).state == "completed"


def test_a_refusal_is_no_answer(script, say):
    script.say(completion(None, refusal="I cannot."))
    row = say("Which?")
    assert (row.state, row.error_code) == ("failed", "content_policy_violation")


def test_newer_models_are_told_by_their_own_names():
    assert sampling("gpt-5-mini", 7, 0.5) == {"max_completion_tokens": 7}
    assert sampling("gpt-4.1-mini", 7, 0.5) == {"max_tokens": 7, "temperature": 0.5}

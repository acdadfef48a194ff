"""Answers in a form: whatever a model wraps around them, only what fits the schema completes an analysis."""

import dataclasses
import json

import pytest
from endpoint import completion

from worker import loose_json
from worker.analyze import Analyzer
from worker.leases import Leases

COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "parts": {"type": "array"}},
    "required": ["colour"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "colour", "schema": COLOUR}}
RED = {"colour": "red"}

FIT = {
    "plain": '{"colour": "red"}',
    "fences": '```json\n{"colour": "red"}\n```',
    "fences without a name": '```\n{"colour": "red"}\n```',
    "prose": 'Of course! Here you are:\n\n{"colour": "red"}\n\nLet me know.',
    "prose with brackets": 'As seen {above} in [fig. 2], it is {"colour": "red"}.',
    "trailing commas": '{"colour": "red",}',
    "twice the same": '{"colour": "red"} or again {"colour": "red"}',
    "thoughts that do not fit": '{"thought": "reddish"}\n{"colour": "red"}',
}


@pytest.mark.parametrize("what", FIT)
def test_what_stands_around_an_answer_is_forgiven(shop, script, what):
    script.say(completion(FIT[what]))
    row = shop.ask(response_format=FORM)
    assert (row.state, row.data, row.answer) == ("completed", RED, FIT[what])
    assert len(script.calls) == 1


UNFIT = {
    "truncated": '{"colour": "red"',
    "truncated around a whole part": '{"found": {"colour": "red"}, "par',
    "truncated list around a whole part": '[{"colour": "red"}, {"colour',
    "wrong enum": '{"colour": "green"}',
    "extra keys": '{"colour": "red", "mood": "warm"}',
    "no JSON": "It is red.",
    "unquoted": '{colour: {"colour": "red"}}',
    "two that differ": '{"colour": "red"} or {"colour": "blue"}',
    "one field twice": '{"colour": "blue", "colour": "red"}',
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_does_not_fit_is_shown_to_the_model_once_and_then_fails_with_its_text(shop, script, what):
    script.say(completion(UNFIT[what]))
    script.say(completion(UNFIT[what]))
    row = shop.ask(response_format=FORM)
    assert (row.state, row.error_code, row.answer, row.data) == (
        "failed",
        "invalid_output",
        UNFIT[what],
        None,
    )
    assert [call.state for call in shop.calls(row.id)] == ["settled", "settled"]
    shown = script.calls[1]["body"]["messages"][-2:]
    assert shown[0]["content"] == UNFIT[what]
    assert row.error_message in shown[1]["content"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"colour": ' + "9" * 5_000 + "}", "more than 4,000 digits"),
        ('{"colour": 1e999}', "1e999 is too large a number"),
    ],
)
def test_what_no_program_can_read_is_told_in_words_that_are_not_the_programs(shop, script, text, why):
    script.say(completion(text))
    script.say(completion('{"colour": "red"}'))
    row = shop.ask(response_format=FORM)
    told = script.calls[1]["body"]["messages"][-1]["content"]
    assert (row.state, why in told) == ("completed", True)
    assert not any(word in told for word in ("recursion", "sys.", "compliant"))


def test_a_model_is_told_once_what_is_wrong(shop, script):
    for text in (UNFIT["wrong enum"], FIT["plain"]):
        script.say(completion(text))
    shop.ask(response_format=FORM)
    assert script.calls[1]["body"]["messages"][-1]["content"].count("schema:") == 1


def test_an_answer_mended_by_the_model_completes(shop, script):
    script.say(completion(UNFIT["wrong enum"]))
    script.say(completion(FIT["fences"]))
    row = shop.ask(response_format=FORM)
    assert (row.state, row.data) == ("completed", RED)


def test_nothing_is_added_to_what_was_broken_off():
    whole = '{"a": [{"b": "c"}, {"d": [1, 2]}], "e": {"f": "g"}}'
    for length in range(1, len(whole)):
        with pytest.raises(json.JSONDecodeError):
            loose_json.values(whole[:length])


def test_commas_within_texts_stay():
    assert loose_json.values('{"a": ",}", "b": "x,]",}') == [{"a": ",}", "b": "x,]"}]


def test_the_schema_goes_to_the_endpoint_strict_only_where_it_leaves_nothing_open(shop, script):
    script.say(completion('{"colour": "red"}'))
    shop.ask(response_format=FORM)
    sent = script.calls[0]["body"]["response_format"]
    assert sent == {
        "type": "json_schema",
        "json_schema": {"name": "colour", "schema": COLOUR, "strict": False},
    }


def test_an_endpoint_that_does_not_take_a_schema_is_told_it_in_words_and_that_is_learned(shop, script):
    refusal = {"error": {"message": "response_format.type: json_schema is not supported"}}
    script.say(refusal, status=400)
    script.say(completion('{"colour": "red"}'))
    script.say(completion('{"colour": "blue"}'))
    row = shop.ask(response_format=FORM)
    assert (row.state, row.data) == ("completed", RED)
    assert [call.state for call in shop.calls(row.id)] == ["refused", "settled"]
    assert shop.ask(response_format=FORM, cache="off").data == {"colour": "blue"}
    _, second, third = (call["body"] for call in script.calls)
    for body in (second, third):
        assert "response_format" not in body
        assert json.dumps(COLOUR) in body["messages"][0]["content"]


def test_a_refusal_for_another_reason_is_no_reason_to_ask_in_words(shop, script):
    script.say({"error": {"message": "no such parameter"}}, status=400)
    row = shop.ask(response_format=FORM)
    assert (row.state, row.error_code, len(script.calls)) == ("failed", "model_error", 1)


@pytest.mark.parametrize(("mode", "in_words"), [("prompt", True), ("schema", False)])
def test_an_operator_says_how_a_form_is_asked_for(
    shop, script, fetcher, preparer, vision, throttle, mode, in_words
):
    settings = dataclasses.replace(shop.desk.settings, structured_output=mode)
    desk = dataclasses.replace(shop.desk, settings=settings)
    leases = Leases(desk)
    shop.analyzer = Analyzer(desk, fetcher, preparer, vision, throttle, leases, "test-worker")
    script.say(completion('{"colour": "red"}'))
    assert shop.ask(response_format=FORM).data == RED
    assert ("response_format" not in script.calls[0]["body"]) is in_words
    script.say(completion("Red."))
    shop.ask()
    assert "JSON" not in script.calls[1]["body"]["messages"][0]["content"]
    leases.close()


def test_any_object_will_do_where_only_json_is_asked_for(shop, script):
    script.say(completion('{"anything": 1}'))
    assert shop.ask(response_format={"type": "json_object"}).data == {"anything": 1}


def test_text_is_text_where_that_is_asked_for(shop, script):
    script.say(completion("Red."))
    row = shop.ask(response_format={"type": "text"})
    assert (row.answer, row.data) == ("Red.", None)

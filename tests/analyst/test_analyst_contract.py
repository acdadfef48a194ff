"""The endpoint keeps OpenAI's contract, as OpenAI's own client sees it."""

import base64
import json

import openai
import pytest
import requests

SCHEMA = {
    "type": "object",
    "properties": {
        "dominant_colors": {"type": "array", "items": {"type": "string"}},
        "brand": {"type": ["string", "null"]},
    },
    "required": ["dominant_colors", "brand"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "note", "parameters": SCHEMA}}


def test_the_sdk_reads_a_plain_answer_with_its_usage(analyst, body, square):
    reply = analyst.client.chat.completions.create(**body("What colour is it?", square))
    assert "red 100%" in reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.prompt_tokens_details.image_tokens == 255
    assert reply.usage.completion_tokens_details.reasoning_tokens == 0


def test_a_stream_adds_up_to_the_plain_answer_and_ends_with_usage(analyst, body, square):
    asked = body("What colour is it?", square)
    plain = analyst.client.chat.completions.create(**asked)
    chunks = list(
        analyst.client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage


def test_a_stream_without_usage_ends_with_done(analyst, square):
    reply = analyst.ask("Colour?", square, stream=True)
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    events = [line for line in reply.text.split("\n\n") if line]
    assert events[-1] == "data: [DONE]"
    assert all("usage" not in json.loads(event[6:]) for event in events[:-1])


def test_a_schema_is_filled_with_measurements_and_null(analyst, body, square):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    reply = analyst.client.chat.completions.create(**body("Look.", square), response_format=form)
    assert json.loads(reply.choices[0].message.content) == {"dominant_colors": ["red"], "brand": None}


def test_json_object_gives_all_measurements(analyst, square):
    reply = analyst.ask("Look.", square, square, response_format={"type": "json_object"}).json()
    images = json.loads(reply["choices"][0]["message"]["content"])["images"]
    assert [image["width"] for image in images] == [400, 400]
    box = images[0]["subject"]
    expected = {"x": 100, "y": 50, "width": 100, "height": 100}
    assert {edge: box[edge] for edge in expected} == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "note"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_tool_is_called_with_its_parameters_filled(analyst, body, square, choice, stream):
    asked = body("Look.", square, tools=[TOOL], tool_choice=choice, stream=stream)
    reply = analyst.client.chat.completions.create(**asked)
    if stream:
        calls = [chunk.choices[0] for chunk in reply]
        assert calls[-1].finish_reason == "tool_calls"
        call = next(choice.delta.tool_calls[0] for choice in calls if choice.delta.tool_calls)
    else:
        assert reply.choices[0].finish_reason == "tool_calls"
        call = reply.choices[0].message.tool_calls[0]
    assert call.function.name == "note"
    assert json.loads(call.function.arguments)["dominant_colors"] == ["red"]


def test_tools_that_are_not_forced_are_ignored(analyst, square):
    message = analyst.ask("Look.", square, tools=[TOOL]).json()["choices"][0]["message"]
    assert "tool_calls" not in message


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_stops_at_the_token_limit_and_says_so(analyst, square, name):
    reply = analyst.ask("Look.", square, **{name: 5}).json()
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 5
    assert len(reply["choices"][0]["message"]["content"]) == 20


def test_detail_low_costs_85_tokens(analyst, square):
    url = f"data:image/png;base64,{base64.b64encode(square).decode()}"
    part = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert analyst.ask(part).json()["usage"]["prompt_tokens_details"]["image_tokens"] == 85


def test_models_are_listed_and_health_is_ok(analyst):
    assert [model.id for model in analyst.client.models.list()] == ["pixel-analyst"]
    assert requests.get(f"{analyst.root}/health", timeout=5).json()["status"] == "ok"


def _image_url(url):
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (_image_url("http://example.com/a.png"), "invalid_image_url"),
        (_image_url("data:image/png;base64,%%%"), "invalid_base64"),
        (_image_url("data:image/png;base64,AAAA"), "invalid_image_format"),
        ({"type": "audio"}, None),
    ],
)
def test_a_part_that_cannot_be_used_is_400_in_openais_shape(analyst, part, code):
    reply = analyst.ask("Look.", part)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)


@pytest.mark.parametrize("payload", ["{", "[]", '{"model": "pixel-analyst", "messages": []}', "\ud800"])
def test_a_body_that_cannot_be_used_is_400(analyst, payload):
    url = f"{analyst.base_url}/chat/completions"
    data = payload.encode("utf-8", "surrogatepass")
    assert requests.post(url, data=data, timeout=5).status_code == 400


def test_another_model_is_404_model_not_found(analyst, body):
    with pytest.raises(openai.NotFoundError) as caught:
        analyst.client.chat.completions.create(**body("Look.") | {"model": "gpt-x"})
    assert caught.value.code == "model_not_found"


def test_a_schema_that_no_measurement_can_fill_is_400(analyst, square):
    schema = {"type": "string", "pattern": "^[0-9]{13}$"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    reply = analyst.ask("Look.", square, response_format=form)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_json_schema")


def test_unknown_paths_and_methods_answer_in_openais_shape(analyst):
    missing = requests.get(f"{analyst.root}/v2", timeout=5)
    wrong = requests.get(f"{analyst.base_url}/chat/completions", timeout=5)
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"]["message"]


def test_a_body_over_64_mb_is_413(analyst):
    url = f"{analyst.base_url}/chat/completions"
    reply = requests.post(url, data=b" " * (64 * 1024 * 1024 + 1), timeout=20)
    assert reply.status_code == 413
    assert analyst.ledger()["calls"][0]["status"] == 413


def test_an_image_in_an_earlier_turn_is_answered_about_and_paid_for(analyst, body, square):
    asked = body("Look.", square)
    asked["messages"].insert(0, {"role": "system", "content": "답변은 한국어로"})
    asked["messages"].append({"role": "assistant", "content": "Red."})
    asked["messages"].append({"role": "user", "content": "Which colour?"})
    reply = analyst.post(asked).json()
    assert "mainly red" in reply["choices"][0]["message"]["content"]
    assert reply["usage"]["prompt_tokens_details"]["image_tokens"] == 255


@pytest.mark.parametrize(
    "options",
    [
        {"response_format": "json"},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 5}}}},
        {"tools": 5, "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": [{"function": {"name": "x", "parameters": "y"}}], "tool_choice": "required"},
        {"max_tokens": 0},
        {"messages": [{"role": "user", "content": [7]}]},
        {"messages": [None]},
        {"model": ["pixel-analyst"]},
    ],
)
def test_options_of_the_wrong_shape_are_400_and_never_500(analyst, options):
    assert analyst.ask("Look.", **options).status_code == 400

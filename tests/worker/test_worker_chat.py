"""A chat through the worker: the client's own request goes out, and the endpoint's own words come back."""

import json
from base64 import b64decode, b64encode
from io import BytesIO
from itertools import accumulate

import pytest
from endpoint import completion
from PIL import Image

from core.events import log_of
from core.services import chat
from core.services.models import preset_finder
from webapp.openai_api.chat import read_image


@pytest.fixture
def say(app, shop):
    """Submit a chat and run it."""

    def run(*content, **body):
        messages = body.pop("messages", [{"role": "user", "content": list(content)}])
        body = {"model": "gpt-4.1-mini", "messages": messages, **body}
        with app.app_context():
            asked = chat.parse(shop.desk, body, read_image, preset_finder(shop.desk, shop.key.account_id))
        return shop.run(chat.submit(shop.desk, shop.key, asked, "req-chat"))

    return run


def text(words):
    return {"type": "text", "text": words}


def picture(content, **more):
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/jpeg;base64,{b64encode(content).decode()}", **more},
    }


def reply_of(shop, row):
    return chat.look(shop.desk, row.account_id, row.id).reply


def test_every_field_goes_to_the_endpoint_as_it_came_and_the_reply_comes_back_whole(shop, script, say):
    schema = {"type": "object", "properties": {"zeta": {"type": "string"}, "alpha": {"type": "number"}}}
    fields = {
        "temperature": 0.25,
        "top_p": 0.5,
        "seed": 7,
        "n": 2,
        "user": "shop-1",
        "logprobs": True,
        "max_completion_tokens": 50,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        "something_new": {"b": [1, None, 12345678901234567890123], "a": "\ud800 and \0"},
    }
    said = completion("Yes.", annotations=1) | {"system_fingerprint": None, "later": {"b": 1, "a": 2}}
    script.say(said)
    row = say(text("Is it?"), **fields)
    [call] = script.calls
    message = {"role": "user", "content": [text("Is it?")]}
    assert call["body"] == {"model": "gpt-4.1-mini", "messages": [message], **fields}
    assert list(call["body"]["response_format"]["json_schema"]["schema"]["properties"]) == ["zeta", "alpha"]
    assert (row.state, row.answer, row.finish_reason) == ("completed", "Yes.", "stop")
    assert json.dumps(reply_of(shop, row)) == json.dumps(said)


def test_images_are_prepared_like_all_others_each_at_the_detail_it_was_sent_with(shop, script, say, photo):
    script.say(completion("Two."))
    small, large = photo("red", (3000, 300)), photo("blue", (3000, 300))
    row = say(picture(small, detail="low"), text("And?"), picture(large, detail="high"))
    [message] = script.calls[0]["body"]["messages"]
    first, words, second = message["content"]
    assert words == text("And?")
    assert (first["image_url"]["detail"], second["image_url"]["detail"]) == ("low", "high")
    widths = [shown(part).width for part in (first, second)]
    assert widths[0] <= 512
    assert widths[1] == 2048
    red, _, blue = shown(second).getpixel((1, 1))
    assert (red, blue) == pytest.approx((0, 255), abs=8)
    assert [image.report["sent"]["width"] for image in row.images] == widths


def shown(part):
    encoded = part["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    return Image.open(BytesIO(b64decode(encoded)))


def test_the_books_reserve_every_choice_at_its_longest(shop, script, say):
    script.say(completion("1"))
    script.say(completion("1"))
    one, many = say(text("?"), max_tokens=1_000), say(text("?"), max_tokens=1_000, n=10)
    [single], [tenfold] = shop.calls(one.id), shop.calls(many.id)
    assert tenfold.reserved_cost > single.reserved_cost * 9


def test_a_refusal_of_the_endpoint_keeps_its_status_and_words_and_costs_nothing(shop, script, say):
    error = {"message": "No such thing.", "type": "invalid_request_error", "param": "tools", "code": "odd"}
    script.say({"error": error}, status=422)
    row = say(text("?"), tools="odd")
    assert (row.state, row.error_code) == ("failed", "model_error")
    assert reply_of(shop, row) == {"status_code": 422, "body": {"error": error}}
    assert [call.state for call in shop.calls(row.id)] == ["refused"]


@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize("body", ["<html><body>nginx</body></html>", {"detail": [{"loc": ["n"]}]}])
def test_a_refusal_without_words_is_told_in_ours(shop, script, say, status, body):
    script.say(body, status, Content_Type="text/html" if isinstance(body, str) else "application/json")
    reply = reply_of(shop, say(text("?")))
    message = f"The endpoint refused the request with status {status}: it gave no reason."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    assert reply == {"status_code": status, "body": {"error": error}}


def test_an_answer_of_tool_calls_alone_is_an_answer(shop, script, say):
    said = completion(None, finish="tool_calls")
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    said["choices"][0]["message"]["tool_calls"] = [call]
    script.say(said)
    row = say(text("Look it up."), tools=[{"type": "function", "function": {"name": "look"}}])
    assert (row.state, row.answer, row.finish_reason) == ("completed", "", "tool_calls")
    assert reply_of(shop, row)["choices"][0]["message"]["tool_calls"] == [call]


def test_an_image_that_cannot_be_decoded_fails_the_chat_before_any_call(shop, script, say, photo):
    row = say(picture(photo()[:300]))
    assert (row.state, row.error_code, script.calls) == ("failed", "image_undecodable", [])


def test_of_several_images_the_one_that_cannot_be_decoded_is_named(shop, script, say, photo):
    row = say(picture(photo()), picture(photo()), picture(photo()[:300]))
    assert (row.state, row.error_code, script.calls) == ("failed", "image_undecodable", [])
    assert row.error_message.startswith("Image 3 of 3: The image is damaged")


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    return {"id": "up-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def sse(*events):
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def function(index, **said):
    return {"index": index, **({"type": "function"} if "id" in said else {}), **said}


CHUNKS = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "A red "}, logprobs={"content": [{"token": "A"}]}),
    chunk({"content": "mug.", "thought": "hm"}, logprobs={"content": [{"token": "mug"}]}),
    chunk({"tool_calls": [function(0, id="a", function={"name": "look", "arguments": ""})]}),
    chunk({"tool_calls": [function(0, function={"arguments": '{"x"'})]}),
    chunk({"tool_calls": [function(1, id="b", function={"name": "look", "arguments": "{}"})]}),
    chunk({"tool_calls": [function(0, function={"arguments": ": 1}"})]}),
    chunk({}, "tool_calls"),
)
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def told(shop, row):
    parts = [part for _, part in shop.desk.events.read({log_of(row.id): "0"}, 0).get(log_of(row.id), [])]
    return [one for part in parts for one in json.loads(part["chunks"])], parts


def test_a_streamed_answer_is_told_as_it_comes_and_recorded_whole_with_its_usage(shop, script, say):
    last = {**CHUNKS[0], "choices": [], "usage": USAGE}
    script.say(sse(*CHUNKS, last) + "data: [DONE]\n\n", Content_Type="text/event-stream")
    row = say(text("?"), stream=True)
    assert script.calls[0]["body"]["stream_options"] == {"include_usage": True}
    assert (row.state, row.answer, row.finish_reason) == ("completed", "A red mug.", "tool_calls")
    assert (row.prompt_tokens, row.completion_tokens) == (100, 20)
    [choice] = reply_of(shop, row)["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "A red mug.",
        "thought": "hm",
        "tool_calls": [
            {"type": "function", "id": "a", "function": {"name": "look", "arguments": '{"x": 1}'}},
            {"type": "function", "id": "b", "function": {"name": "look", "arguments": "{}"}},
        ],
    }
    assert [token["token"] for token in choice["logprobs"]["content"]] == ["A", "mug"]
    chunks, parts = told(shop, row)
    assert chunks == [*CHUNKS, last]
    assert "".join(part["text"] for part in parts) == row.answer
    counts = [len(json.loads(part["chunks"])) for part in parts]
    assert [int(part["number"]) for part in parts] == list(accumulate(counts, initial=0))[:-1]
    assert [part["last"] for part in parts][-1] == "1"


@pytest.mark.parametrize("broken", [sse(*CHUNKS[:3]), sse(*CHUNKS[:3]) + "data: {\n\n", sse(CHUNKS[0], 5)])
def test_a_stream_that_breaks_off_fails_at_its_worst_case_and_does_not_begin_anew(shop, script, say, broken):
    script.say(broken, Content_Type="text/event-stream")
    row = say(text("?"), stream=True)
    assert (row.state, row.error_code, len(script.calls)) == ("failed", "upstream_error", 1)
    assert [call.state for call in shop.calls(row.id)] == ["unknown"]
    assert [part["last"] for part in told(shop, row)[1]] == ["0"] * len(told(shop, row)[1])


@pytest.mark.parametrize(
    ("error", "told_as"),
    [
        ({"message": "mid error", "code": "boom"}, "The endpoint broke off its answer: mid error"),
        ("mid error", "The endpoint broke off its answer: mid error"),
        ({"code": 5}, "The endpoint broke off its answer: it gave no reason."),
        (
            {"message": "Incorrect API key provided: sk-12345678.", "code": "invalid_api_key"},
            "The endpoint refused Vitrine's own credentials.",
        ),
    ],
)
def test_an_error_amid_a_stream_is_told_in_the_endpoints_words_but_for_vitrines_key(
    shop, script, say, error, told_as
):
    script.say(sse(*CHUNKS[:3], {"error": error}), Content_Type="text/event-stream")
    row = say(text("?"), stream=True)
    assert (row.state, row.error_code, row.error_message) == ("failed", "upstream_error", told_as)
    assert [call.state for call in shop.calls(row.id)] == ["unknown"]


def test_an_endpoint_that_does_not_stream_answers_in_one_piece(shop, script, say):
    script.say(completion("Whole."))
    row = say(text("?"), stream=True)
    assert (row.state, row.answer) == ("completed", "Whole.")

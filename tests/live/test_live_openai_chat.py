"""The unmodified OpenAI SDK, pointed at the live system."""

import base64
import json
import re
from typing import Literal

import openai
import pytest
from offered import TOOLS, red
from openai import OpenAI
from pydantic import BaseModel

from core.ids import new_id
from core.services import keys
from core.services.keys import Scope


def part(content):
    url = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def asked(*content):
    return [{"role": "user", "content": [{"type": "text", "text": "What colour is it?"}, *content]}]


def client_of(live, **options):
    options = {"unlimited": True, **options}
    secret = keys.create(live.desk, account=new_id("shop"), name="test", **options).secret
    return OpenAI(base_url=f"{live.url}/v1", api_key=secret, timeout=40, max_retries=0)


@pytest.fixture
def client(quick):
    return client_of(quick)


def ask(client, messages=None, **options):
    options = {"model": "pixel-analyst", **options}
    return client.chat.completions.create(messages=messages or asked(part(red())), **options)


def test_a_chat_with_an_image_gets_what_the_endpoint_says_under_an_id_of_ours(client):
    answer = client.chat.completions.with_raw_response.create(
        model="pixel-analyst", messages=asked(part(red()))
    )
    said = answer.parse()
    assert said.id.startswith("chatcmpl-01")
    assert "red" in said.choices[0].message.content.lower()
    assert said.choices[0].finish_reason == "stop"
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens > 0
    assert answer.headers["x-request-id"]
    assert int(answer.headers["openai-processing-ms"]) > 0


SYSTEM = {"role": "system", "content": "You are brief."}
TEXTS = ["Say something.", "Welche Farbe hat es?", "무슨 색인가요?", "x" * 5_000]
FIELDS = {"type": "object", "properties": {"brand": {"type": ["string", "null"]}}, "required": ["brand"]}
FORM = {"name": "form", "strict": True, "schema": FIELDS}
VARIED = [
    {},
    {"max_tokens": 3},
    {"max_completion_tokens": 1},
    {"temperature": 0, "top_p": 0.1, "frequency_penalty": 1.5, "presence_penalty": -2},
    {"seed": 1, "user": "shop-1", "n": 1, "logprobs": False, "stop": ["\n"], "logit_bias": {"50256": -100}},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": FORM}},
    {"tools": TOOLS, "tool_choice": "required"},
    {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False},
    {"extra_body": {"nobody_knows": {"this": ["field", None, 1.5]}}, "metadata": {"a": "b"}, "store": False},
]
"""With each of the texts, so that there are forty."""


def comparable(completion):
    """Without what differs each time: ids, of tool calls too, and times."""
    said = completion.to_dict() | {"id": None, "created": None}
    return re.sub(r"call_(\d)_[0-9a-f]{32}", r"\1", json.dumps(said, ensure_ascii=False))


@pytest.mark.parametrize("options", VARIED, ids=lambda options: "+".join(options) or "plain")
def test_what_comes_back_equals_what_the_endpoint_says_but_for_ids_and_times(quick, client, options):
    for text in TEXTS:
        messages = [SYSTEM, {"role": "user", "content": [{"type": "text", "text": text}]}]
        direct, through = (ask(each, messages, **options) for each in (quick.analyst.client, client))
        assert comparable(through) == comparable(direct)


def test_a_stream_brings_the_answer_in_chunks_and_its_usage_last(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text == ask(client).choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_an_answer_is_parsed_into_a_model(client):
    class Product(BaseModel):
        dominant_colors: list[str]
        product_condition: Literal["new", "used", "unknown"]

    messages = asked(part(red()))
    said = client.chat.completions.parse(model="pixel-analyst", messages=messages, response_format=Product)
    assert "red" in said.choices[0].message.parsed.dominant_colors


def test_two_tools_are_called_at_once_and_their_results_answered(client):
    messages = asked(part(red()))
    first = ask(client, messages, tools=TOOLS, tool_choice="required").choices[0]
    assert first.finish_reason == "tool_calls"
    calls = first.message.tool_calls
    assert [call.function.name for call in calls] == ["note_colors", "note_size"]
    assert json.loads(calls[1].function.arguments) == {"width": 320, "height": 240}
    results = [{"role": "tool", "tool_call_id": call.id, "content": "noted"} for call in calls]
    said = [*messages, first.message.model_dump(exclude_none=True), *results]
    assert ask(client, said, tools=TOOLS).choices[0].message.content
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, said[:-1], tools=TOOLS)
    assert refused.value.code == "invalid_tool_call"


def test_tool_calls_are_streamed(client):
    chunks = list(ask(client, tools=TOOLS, tool_choice="required", stream=True))
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [(call.index, call.function.name) for call in calls] == [(0, "note_colors"), (1, "note_size")]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("error", "code", "options"),
    [
        (openai.BadRequestError, "invalid_request", {"messages": [{"role": "nobody", "content": "?"}]}),
        (openai.BadRequestError, "invalid_image", {"messages": asked(part(b"<svg/>"))}),
        (openai.BadRequestError, None, {"response_format": {"type": "json_schema"}}),
        (openai.NotFoundError, "model_not_found", {"model": "gpt-nothing"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_with_a_request_is_the_sdks_own_exception(client, error, code, options, stream):
    with pytest.raises(error) as refused:
        ask(client, stream=stream, **options)
    assert refused.value.code == code
    assert refused.value.type == "invalid_request_error"


def test_who_may_not_ask_is_told_by_the_sdks_own_exception(quick):
    stranger = OpenAI(base_url=f"{quick.url}/v1", api_key="vt_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        ask(stranger)
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        ask(client_of(quick, scopes=[Scope.READ]))


def test_a_rate_limit_is_the_sdks_own_exception_and_every_answer_tells_it(quick):
    client = client_of(quick, unlimited=False, rate_limit="1/hour")
    messages = [{"role": "user", "content": "?"}]
    answer = client.chat.completions.with_raw_response.create(model="pixel-analyst", messages=messages)
    assert answer.headers["x-ratelimit-limit-requests"] == "1"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    with pytest.raises(openai.RateLimitError) as refused:
        ask(client, messages)
    assert (refused.value.type, refused.value.code) == ("requests", "rate_limit_exceeded")


def test_a_failure_of_the_endpoint_is_the_sdks_own_exception_and_not_sent_again(quick, client):
    quick.analyst.turn(insufficient_quota=True)
    with pytest.raises(openai.InternalServerError) as failed:
        ask(client.with_options(max_retries=2))
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_error")
    assert quick.analyst.ledger()["count"] == 1


def test_an_idempotency_key_pays_once_and_refuses_another_body(quick, client):
    headers = {"Idempotency-Key": new_id("once")}
    first, again = (ask(client, extra_headers=headers) for _ in range(2))
    assert first.id == again.id
    assert quick.analyst.ledger()["count"] == 1
    with pytest.raises(openai.UnprocessableEntityError):
        ask(client, asked(), extra_headers=headers)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_cancels_its_chat(quick, client, stream):
    quick.analyst.turn(latency=20)
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=1), stream=stream)
    session = quick.session(client.api_key)

    def cancelled():
        rows = session.get(f"{quick.url}/api/v1/analyses", timeout=10).json()["data"]
        return [row["status"] for row in rows] == ["cancelled"]

    quick.wait_for(cancelled)

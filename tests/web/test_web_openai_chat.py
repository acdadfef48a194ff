"""What /v1/chat/completions takes and refuses; nobody works here, so that nothing is ever answered."""

import base64
import dataclasses
import json
from io import BytesIO

import pytest

from core.errors import RateLimitExceeded
from core.services import analyses, chat, outcomes
from webapp.app import create_app

PATH = "/v1/chat/completions"
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.fixture
def client(settings, desk, key):
    """Signed in at a server that waits for nobody."""
    impatient = create_app(dataclasses.replace(settings, chat_timeout=0.01), desk)
    impatient.config["DESK"] = dataclasses.replace(
        desk, settings=dataclasses.replace(settings, chat_timeout=0.01)
    )
    signed_in = impatient.test_client()
    signed_in.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
    return signed_in


def user(*parts):
    return {"role": "user", "content": list(parts)}


def image(**given):
    return {"type": "image_url", "image_url": given}


def data_url(content):
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def said(*messages, **fields):
    return {"model": "pixel-analyst", "messages": list(messages), **fields}


def tool(call_id="call_1"):
    return {"role": "tool", "tool_call_id": call_id, "content": "red"}


def calling(*calls):
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def rows(desk, key):
    return analyses.page(desk, key.key.account_id, before=None, limit=10, filters={})[0]


HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        (said(), "messages"),
        (said("hello"), "messages[0]"),
        (said({"role": "nobody", "content": "?"}), "messages[0].role"),
        (said({"role": ["user"], "content": "?"}), "messages[0].role"),
        (said({"role": "user"}), "messages[0].content"),
        (said(HELLO, user()), "messages[1].content"),
        (said(user({"text": "no type"})), "messages[0].content[0]"),
        (said(user({"type": "text", "text": 5})), "messages[0].content[0].text"),
        (said(user({"type": "image_url"})), "messages[0].content[0].image_url"),
        (said(user(image())), "messages[0].content[0].image_url"),
        (said(user(image(url="data:,", file_id="file_1"))), "messages[0].content[0].image_url"),
        (said(user(image(file_id="\0"))), "messages[0].content[0].image_url.file_id"),
        (said(HELLO, n=0), "n"),
        (said(HELLO, n=129), "n"),
        (said(HELLO, n=True), "n"),
        (said(HELLO, max_tokens=10**30), "max_tokens"),
        (said(HELLO, max_completion_tokens="many"), "max_completion_tokens"),
        (said(HELLO, stream="yes"), "stream"),
        (said(HELLO, stream_options=[1]), "stream_options"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_400_that_names_the_place(client, body, param):
    answer = client.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_request")
    assert error["param"] == param or param in error["message"]


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO, tool()],
        [HELLO, calling(CALL), tool("call_2")],
        [HELLO, calling(CALL), tool(), tool()],
        [HELLO, calling(CALL), HELLO],
        [HELLO, calling(CALL)],
        [HELLO, calling(CALL, CALL), tool()],
        [HELLO, calling({"type": "function"}), tool()],
        [HELLO, calling("call_1"), tool()],
        [HELLO, calling({**CALL, "id": ["x"]}), tool()],
        [HELLO, calling(CALL), {"role": "tool", "content": "red"}],
    ],
)
def test_tool_calls_that_do_not_match_are_a_400(client, messages):
    answer = client.post(PATH, json=said(*messages))
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_tool_call"), answer.text


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png,plain",
        "data:image/jpeg;base64,???",
        "ftp://shop.example/a.jpg",
        "vitrine:image/0",
        7,
    ],
)
def test_what_is_no_image_of_ones_own_is_refused(client, url):
    answer = client.post(PATH, json=said(user(image(url=url))))
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_image"), answer.text


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"url": "data:image/jpeg;base64,???"}, "invalid_image"),
        ({"url": "data:image/jpeg;base64,"}, "invalid_image"),
        ({"url": data_url(SVG)}, "invalid_image"),
        ({"url": "http://127.0.0.1/a.jpg"}, "invalid_request"),
        ({"url": data_url(bytes(10_500_000))}, "file_too_large"),
        ({"file_id": "file_1"}, "not_found"),
    ],
)
def test_of_several_images_the_one_that_cannot_be_taken_is_named(client, photo, given, code):
    good, words = image(url=data_url(photo())), {"type": "text", "text": "Which?"}
    answer = client.post(PATH, json=said(user(good), HELLO, user(good, words, image(**given), good)))
    error = answer.json["error"]
    assert (error["code"], error["param"]) == (code, "messages[2].content[2].image_url")


@pytest.mark.parametrize("purpose", ["batch", "fine-tune", "evals"])
def test_a_file_that_is_not_for_images_is_a_400_to_its_owner_alone(app, client, new_key, purpose):
    form = {"file": (BytesIO(b'{"a": 1}'), "a.jsonl"), "purpose": purpose}
    body = said(user(image(file_id=client.post("/v1/files", data=form).json["id"])))
    refused = client.post(PATH, json=body)
    error = refused.json["error"]
    assert (refused.status_code, error["code"]) == (400, "invalid_image")
    assert error["param"] == "messages[0].content[0].image_url"
    assert f"the purpose '{purpose}', which is not for images" in error["message"]
    stranger = app.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    foreign = stranger.post(PATH, json=body)
    assert (foreign.status_code, foreign.json["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("begin", ["DATA:IMAGE/PNG;BASE64,", "Data:image/png;Base64,"])
def test_a_data_url_is_one_in_whatever_case_its_scheme_is_written(client, desk, key, photo, begin):
    url = begin + base64.b64encode(photo(form="PNG")).decode()
    assert client.post(PATH, json=said(user(image(url=url)))).status_code == 504
    assert len(rows(desk, key)[0].images) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"messages": NaN}',
        '{"messages": [{"role": "user", "content": "?"}], "x": 1e999}',
        '{"messages": ' + "[" * 100_000,
        "[]",
        "",
        "\xff",
    ],
)
def test_what_is_no_json_object_is_a_400(client, text):
    answer = client.post(PATH, data=text.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400, answer.text


def test_more_text_than_any_model_takes_is_a_413(client):
    answer = client.post(PATH, json=said({"role": "user", "content": "x" * 4_000_000}))
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "file_too_large")


def test_another_accounts_file_is_not_found(client, desk, app, new_key, photo):
    stranger = app.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    body = {"file": (BytesIO(photo()), "a.jpg"), "purpose": "vision"}
    file_id = stranger.post("/api/v1/files", data=body).json["id"]
    answer = client.post(PATH, json=said(user(image(file_id=file_id))))
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_a_chat_that_takes_too_long_is_a_504_and_cancelled(client, desk, key, photo):
    body = said(user({"type": "text", "text": "?"}, image(url=data_url(photo()))))
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json["error"]["code"]) == (504, "timeout")
    assert answer.headers["x-should-retry"] == "false"
    [row] = rows(desk, key)
    assert (row.state, row.preset, len(row.images)) == ("cancelled", "chat", 1)


def test_what_made_a_chat_wait_is_told_when_it_takes_too_long(client, desk, key, monkeypatch):
    def limited(_, account_id, analysis_id, *rest, **options):
        claimed = outcomes.claim(desk, analysis_id, "w")
        outcomes.retry(desk, claimed, RateLimitExceeded("It is limited."), None, seconds=60, counts=False)
        return chat.look(desk, account_id, analysis_id)

    monkeypatch.setattr(chat, "wait", limited)
    answer = client.post(PATH, json=said(HELLO))
    assert answer.status_code == 504
    assert answer.json["error"]["message"] == "The answer did not come in time. It is limited."


def test_what_is_null_counts_as_left_out(client, desk, key):
    names = ("model", "n", "max_tokens", "max_completion_tokens", "stream", "stream_options", "seed", "tools")
    assert client.post(PATH, json=said(HELLO, **dict.fromkeys(names))).status_code == 504
    [row] = rows(desk, key)
    assert (row.model, row.max_tokens) == (desk.settings.vision_model, desk.settings.default_max_tokens)


def test_with_an_idempotency_key_a_client_can_come_back_for_the_answer(client, desk, key):
    headers = {"Idempotency-Key": "mine"}
    assert [client.post(PATH, json=said(HELLO), headers=headers).status_code for _ in range(2)] == [504, 504]
    assert [row.state for row in rows(desk, key)] == ["queued"]


def test_a_stream_that_takes_too_long_ends_with_the_error(client, desk, key):
    answer = client.post(PATH, json=said(HELLO, stream=True))
    error, done = answer.text.strip().split("\n\n")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "timeout"
    assert done == "data: [DONE]"
    assert [row.state for row in rows(desk, key)] == ["cancelled"]

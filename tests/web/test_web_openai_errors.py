"""Errors below /v1, in the shape that OpenAI's clients read."""

import pytest

LONG = "x" * 1_000_000
HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "code"),
    [
        ("GET", "/v1", 404, "invalid_request_error", "not_found"),
        ("GET", "/v1/nowhere", 404, "invalid_request_error", "not_found"),
        ("PATCH", "/v1/chat/completions", 405, "invalid_request_error", "method_not_allowed"),
    ],
)
def test_every_error_at_v1_and_below_is_in_openais_shape(client, method, path, status, kind, code):
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.json["error"].keys() == {"message", "type", "param", "code"}
    assert (answer.json["error"]["type"], answer.json["error"]["code"]) == (kind, code)
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-request-id"]


def test_what_only_begins_like_v1_keeps_the_native_shape(client):
    assert client.get("/v10").json["error_code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": [HELLO], "model": LONG}),
        ("chat/completions", {"messages": [HELLO], "model": [LONG]}),
        ("chat/completions", {"messages": [HELLO], "model": f"vitrine/{LONG}"}),
        (
            "chat/completions",
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": LONG}, *({"id": f"{n}{LONG[:9]}"} for n in range(1_000))],
                    }
                ]
            },
        ),
        ("chat/completions", {"messages": [{"role": LONG, "content": "?"}]}),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": LONG}}]}]},
        ),
        ("embeddings", {"input": "?", "model": LONG}),
        ("batches", {"input_file_id": LONG, "endpoint": LONG, "completion_window": LONG}),
    ],
)
def test_what_a_client_wrote_is_not_repeated_at_length(client, path, body):
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code in (400, 404)
    assert len(answer.data) < 5_000


def test_an_unknown_model_is_named_by_its_beginning(client):
    error = client.post("/v1/chat/completions", json={"messages": [HELLO], "model": LONG}).json["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert f"The model '{'x' * 100}…' is not served here" in error["message"]

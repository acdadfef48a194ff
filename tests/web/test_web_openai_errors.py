"""Errors below /v1, in the shape that OpenAI's clients read."""

import pytest


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

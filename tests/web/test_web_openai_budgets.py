"""Budgets on the /v1 face: what they cannot pay is refused in the words that OpenAI's clients know."""

import json
from decimal import Decimal
from io import BytesIO

import pytest

from core.models import BudgetKind

CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}
EMBEDDINGS = {"model": "text-embedding-3-small", "input": "x" * 1_000}


@pytest.fixture
def client_with(app, new_key):
    """Make clients with budgets."""

    def make(**spending):
        made = new_key(spending={BudgetKind(kind): Decimal(most) for kind, most in spending.items()})
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.secret}"
        return client

    return make


@pytest.mark.parametrize(
    ("path", "body", "spending"),
    [
        ("chat/completions", CHAT | {"max_tokens": 1_000}, {"monthly_usd": "0.0001"}),
        ("chat/completions", CHAT | {"max_tokens": 40, "n": 20}, {"daily_tokens": "500"}),
        ("chat/completions", CHAT | {"max_tokens": 1_000, "stream": True}, {"daily_tokens": "500"}),
        ("chat/completions", CHAT, {"daily_tokens": "100000"}),
        ("embeddings", EMBEDDINGS, {"daily_tokens": "500"}),
    ],
)
def test_what_a_budget_cannot_pay_is_no_quota_and_not_worth_sending_again(client_with, path, body, spending):
    client = client_with(**spending)
    answer = client.post(f"/v1/{path}", json=body)
    error = answer.json["error"]
    assert answer.status_code == 429
    assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/api/v1/analyses").json["data"] == []


def test_a_model_without_a_price_is_refused_where_a_budget_is_in_usd(client_with):
    client = client_with(monthly_usd="1")
    answer = client.post("/v1/chat/completions", json=CHAT | {"model": "scripted"})
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "model")
    row = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    content = json.dumps(row | {"body": CHAT | {"model": "scripted"}}).encode()
    upload = {"file": (BytesIO(content), "in.jsonl"), "purpose": "batch"}
    order = {
        "input_file_id": client.post("/v1/files", data=upload).json["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    answer = client.post("/v1/batches", json=order)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "model")
    assert client.get("/v1/batches").json["data"] == []

"""The knobs make the endpoint slow, limited or faulty, and the ledger keeps count."""

import dataclasses
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
import requests
from waiting import wait_until

from local.analyst.knobs import Knobs

ROOT = Path(__file__).parents[2]


def _statuses(analyst, count):
    return [analyst.ask("Hello").status_code for _ in range(count)]


def test_knobs_are_turned_one_by_one_and_bad_ones_change_nothing(analyst):
    assert analyst.turn(latency=0.25).json()["latency"] == 0.25
    for wrong in ({"speed": 1}, {"error_rate": 2}, {"latency": "x"}, {"seed": True}, {"latency": 1, "x": 1}):
        assert analyst.turn(**wrong).status_code == 400
    assert analyst.turn().json() == analyst.defaults | {"latency": 0.25}


def test_every_knob_is_in_the_docs_as_it_is():
    lines = (ROOT / "docs" / "development.md").read_text().splitlines()
    documented = [line for line in lines if line.startswith("| `")]
    assert documented == [
        f"| `{knob.name}` | {json.dumps(knob.default).removesuffix('.0')} | {knob.metadata['help']} |"
        for knob in dataclasses.fields(Knobs)
    ]


def test_two_hundred_slow_calls_are_served_at_once(analyst, square):
    analyst.turn(latency=1.0)
    with ThreadPoolExecutor(200) as pool:
        started = time.monotonic()
        replies = list(pool.map(lambda _: analyst.ask("Colour?", square), range(200)))
        took = time.monotonic() - started
    assert {reply.status_code for reply in replies} == {200}
    assert took < 100  # one after the other would be 200 s


def test_a_rate_limit_answers_429_with_openais_headers(analyst):
    analyst.turn(requests_per_minute=2)
    first, second, third = (analyst.ask("Hello") for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert third.headers["x-ratelimit-reset-requests"].endswith("s")
    assert 25 <= int(third.headers["Retry-After"]) <= 30
    assert third.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_limit_of_tokens_counts_prompt_and_answer(analyst):
    used = analyst.ask("Hello").json()["usage"]["total_tokens"]
    analyst.turn(tokens_per_minute=used + 2)
    first, second = (analyst.ask("Hello") for _ in range(2))
    assert [first.status_code, second.status_code] == [200, 429]
    assert first.headers["x-ratelimit-limit-tokens"] == str(used + 2)
    assert first.headers["x-ratelimit-remaining-tokens"] == "2"
    assert second.json()["error"]["type"] == "tokens"
    assert int(second.headers["Retry-After"]) >= 1


def test_a_short_burst_lets_fewer_calls_through_at_once(analyst):
    analyst.turn(requests_per_minute=60, rate_burst=2)
    assert _statuses(analyst, 3) == [200, 200, 429]


def test_an_exhausted_quota_has_its_own_code(analyst, body):
    analyst.turn(insufficient_quota=True)
    with pytest.raises(openai.RateLimitError) as caught:
        analyst.client.chat.completions.create(**body("Hello"))
    assert caught.value.code == "insufficient_quota"


def test_the_same_seed_gives_the_same_faults(analyst):
    runs = []
    for seed in (1, 1, 2):
        analyst.reset()
        analyst.turn(error_rate=0.5, error_status=503, seed=seed)
        runs.append(_statuses(analyst, 30))
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 503}


def test_garbage_is_200_but_not_json(analyst):
    analyst.turn(garbage_rate=1)
    reply = analyst.ask("Hello")
    assert reply.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        reply.json()


def test_an_empty_answer_has_empty_content(analyst, body):
    analyst.turn(empty_rate=1)
    assert analyst.client.chat.completions.create(**body("Hello")).choices[0].message.content == ""


@pytest.mark.parametrize("knobs", [{"hang_rate": 1}, {"latency": 60}])
def test_a_client_that_leaves_is_recorded_as_499(analyst, body, knobs):
    analyst.turn(**knobs)
    with pytest.raises(requests.ReadTimeout):
        analyst.post(body("Hello"), timeout=0.3)
    wait_until(lambda: analyst.ledger()["calls"][0]["status"] is not None)
    ledger = analyst.ledger()
    assert ledger["calls"][0]["status"] == 499
    assert (ledger["count"], ledger["answered"]) == (1, 0)


def test_the_ledger_describes_each_call(analyst, body, square):
    analyst.post(body("Colour?", square), headers={"X-Request-ID": "req-7"})
    analyst.ask("Hello", stream=True)
    ledger = analyst.ledger()
    first, second = ledger["calls"]
    digest = hashlib.sha256(square).hexdigest()
    image = {"sha256": digest, "width": 400, "height": 300, "bytes": len(square), "format": "PNG"}
    assert first["images"] == [image]
    assert (first["n"], first["status"], first["request_id"]) == (1, 200, "req-7")
    assert (first["model"], second["stream"]) == ("pixel-analyst", True)
    assert first["prompt_tokens"] > 255
    assert (ledger["count"], ledger["answered"]) == (2, 2)


def test_the_ledger_is_paged_and_reset(analyst):
    _statuses(analyst, 5)
    assert [call["n"] for call in analyst.ledger(after=1, limit=2)["calls"]] == [2, 3]
    analyst.reset()
    assert analyst.ledger() == {"count": 0, "answered": 0, "calls": []}


def test_kept_images_are_the_bytes_that_came(analyst, square):
    analyst.ask("Colour?", square)
    digest = hashlib.sha256(square).hexdigest()
    assert requests.get(f"{analyst.root}/control/ledger/images/{digest}", timeout=5).content == square

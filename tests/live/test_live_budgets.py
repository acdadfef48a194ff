"""Budgets and the audit with real processes, at a price that makes worst case and cost the same."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from endpoint import Script, completion
from livesystem import system_of

from core.ids import new_id
from core.models import BudgetKind
from core.services import keys

TOKENS = 10
PRICE = {"input": "0", "cached_input": "0", "output": "1000"}
"""USD per million: a call of TOKENS costs a cent, whatever its prompt."""


@pytest.fixture(scope="module")
def metered(servers, folder, settings):
    """gunicorn and two workers, asking a script that always answers with TOKENS."""
    prices = folder / "prices.json"
    prices.write_text(json.dumps({"metered": PRICE}))
    own = {
        "VISION_MODEL": "metered",
        "PRICE_TABLE": str(prices),
        "WORKER_CONCURRENCY": "16",
        "WEB_THREADS": "32",
    }
    with system_of(servers, settings, folder, "metered", 5, Script(), **own) as system:
        system.start_web("metered-web")
        for number in (1, 2):
            system.start_worker(f"metered-{number}")
        system.wait_for(lambda: system.sees_workers(2))
        yield system


@pytest.fixture
def endpoint(metered):
    """The script, with enough to say."""
    script = metered.analyst
    script.calls.clear()
    script.answers.clear()
    script.delay = 0.2
    for number in range(400):
        script.say(completion("A mug.", completion_tokens=TOKENS) | {"id": f"up-{new_id('up')}-{number}"})
    return script


def _session(metered, **spending):
    limits = {BudgetKind(kind): Decimal(most) for kind, most in spending.items()}
    made = keys.create(metered.desk, account=new_id("shop"), name="t", unlimited=True, spending=limits)
    session = metered.session(made.secret)
    session.key_id = made.key.id
    return session


def _counted(metered, session, batch_id):
    return session.get(f"{metered.url}/api/v1/batches/{batch_id}", timeout=30).json()


def test_with_money_for_50_calls_200_concurrent_requests_make_exactly_50(metered, endpoint, photo):
    session, image = _session(metered, monthly_usd="0.50"), photo()

    def ask(_):
        data = {"question": "?!", "max_tokens": TOKENS, "wait": 40, "cache": "off"}
        files = {"file": ("p.jpg", image, "image/jpeg")}
        url = f"{metered.url}/api/v1/analyses"
        answer = metered.session_of(session).post(url, data=data, files=files, timeout=90)
        return answer.status_code, answer.json()

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))
    accepted = [body["id"] for status, body in answers if status in {200, 202}]
    refused = [body["error_code"] for status, body in answers if status not in {200, 202}]
    assert set(refused) <= {"budget_exceeded"}

    def ends():
        found = [session.get(f"{metered.url}/api/v1/analyses/{each}", timeout=30).json() for each in accepted]
        return found if all(row["completed_at"] for row in found) else None

    final = metered.wait_for(ends, every=1)
    assert len([row for row in final if row["status"] == "completed"]) == 50
    failures = {row["error"]["code"] for row in final if row["status"] != "completed"}
    assert failures <= {"budget_exceeded"}
    assert len(endpoint.calls) == 50
    usage = session.get(f"{metered.url}/api/v1/usage", timeout=30).json()
    assert usage["budget"]["monthly_usd"].items() >= {"limit": 0.5, "spent": 0.5, "reserved": 0}.items()
    assert sum(row["cost"]["total_cost"] for row in usage["data"]) == 0.5
    audit = metered.vitrine("audit")
    assert (audit.returncode, audit.stdout) == (0, ""), audit.stdout


def test_a_batch_pauses_at_its_cap_and_goes_on_with_a_higher_one(metered, endpoint, photo):
    session = _session(metered)
    files = [("images", (f"{n}.jpg", photo(), "image/jpeg")) for n in range(40)]
    data = {"question": "?!", "max_cost": "0.20", "cache": "off"}
    made = session.post(
        f"{metered.url}/api/v1/batches", data=data | {"model": "metered"}, files=files, timeout=60
    )
    assert made.status_code == 202, made.text
    batch_id = made.json()["id"]
    paused = metered.wait_for(
        lambda: _paused(_counted(metered, session, batch_id)), seconds=60
    )  # the default worst case of 500 tokens is $0.50: nothing fits
    assert (paused["counts"]["completed"], len(endpoint.calls)) == (0, 0)
    assert "max_cost" in paused["reason"]

    url = f"{metered.url}/api/v1/batches/{batch_id}"
    session.post(f"{url}/resume", json={"max_cost": 100}, timeout=30)
    done = metered.wait_for(lambda: _completed(_counted(metered, session, batch_id)))
    assert (done["counts"]["completed"], done["cost"]["total_cost"]) == (40, 0.4)
    assert len(endpoint.calls) == 40


def test_a_batch_spends_its_budget_to_the_last_call_and_waits_for_a_top_up(metered, endpoint, photo):
    session = _session(metered, monthly_usd="0.25")
    image = photo()
    uploaded = session.post(
        f"{metered.url}/api/v1/files", files={"file": ("p.jpg", image, "image/jpeg")}, timeout=30
    ).json()["id"]
    body = {
        "inputs": [{"image": uploaded} for _ in range(60)],
        "defaults": {"question": "?!", "max_tokens": TOKENS, "cache": "off"},
    }
    batch_id = session.post(f"{metered.url}/api/v1/batches", json=body, timeout=30).json()["id"]
    paused = metered.wait_for(lambda: _paused(_counted(metered, session, batch_id)))
    metered.wait_for(lambda: _counted(metered, session, batch_id)["counts"]["completed"] == 25)
    assert "monthly budget" in paused["reason"]
    assert len(endpoint.calls) == 25
    assert _counted(metered, session, batch_id)["counts"]["failed"] == 0

    told = metered.vitrine("keys", "limit", session.key_id, "--monthly-usd", "5")
    assert "$0.25/5 a month" in told.stdout, told.stderr
    done = metered.wait_for(lambda: _completed(_counted(metered, session, batch_id)))
    assert done["counts"]["completed"] == 60
    assert len(endpoint.calls) == 60
    rows = session.get(f"{metered.url}/api/v1/batches/{batch_id}/results", timeout=30).json()["data"]
    assert {row["attempts"] for row in rows} == {1}
    assert metered.vitrine("audit").returncode == 0


def _paused(view):
    return view if view["status"] == "paused" else None


def _completed(view):
    return view if view["status"] == "completed" else None

"""The same asked at once, on two workers: the endpoint's own ledger says what was paid."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from core.models import Analysis

FINAL = {"completed", "failed", "cancelled", "expired"}
MANY = 100
SLOTS = 4
"""Of one worker; see the fixture."""


@pytest.fixture
def session(quick):
    return quick.session()


@pytest.fixture
def file_id(quick, session, photo):
    files = {"file": ("p.jpg", photo("teal"), "image/jpeg")}
    return session.post(f"{quick.url}/api/v1/files", files=files, timeout=30).json()["id"]


def ask(live, session, file_id, **more):
    body = {"images": [{"file_id": file_id}], "question": "What colour is it?", **more}
    answer = session.post(f"{live.url}/api/v1/analyses", json=body, timeout=90)
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def at_once(live, session, file_id, count, **more):
    others = [live.session_of(session) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda n: ask(live, others[n % 16], file_id, **more), range(count)))


def finished(live, session, rows):
    """Every analysis of the account, once all are final; there are no others."""

    def final():
        found = session.get(f"{live.url}/api/v1/analyses?limit=100", timeout=30).json()["data"]
        assert {row["id"] for row in found} == {row["id"] for row in rows}
        return found if all(row["status"] in FINAL for row in found) else None

    return live.wait_for(final, every=0.5)


def test_a_hundred_that_ask_the_same_at_once_are_one_call(quick, session, file_id):
    quick.analyst.turn(latency=1.0)
    rows = finished(quick, session, at_once(quick, session, file_id, MANY))
    assert {row["status"] for row in rows} == {"completed"}
    assert quick.analyst.ledger()["count"] == 1
    [paid] = [row for row in rows if not row["cached"]]
    assert {row["cached_from"] for row in rows if row["cached"]} == {paid["id"]}
    assert {row["answer"] for row in rows} == {paid["answer"]}
    assert {row["usage"]["total_tokens"] for row in rows if row["cached"]} == {0}
    told = quick.vitrine("audit", "--endpoint-ledger", quick.analyst.root)
    assert told.returncode == 0, told.stdout


def test_it_is_one_call_too_where_it_is_asked_again_while_it_is_answered(quick, session, file_id):
    """As fast as the endpoint can: some come before the answer, some as it is recorded, some behind it."""
    rows = finished(quick, session, at_once(quick, session, file_id, MANY, wait=20))
    assert {row["status"] for row in rows} == {"completed"}
    assert quick.analyst.ledger()["count"] == 1


def test_who_waits_for_one_whose_worker_is_killed_gets_the_answer_of_who_takes_over(quick, session, file_id):
    quick.start_doomed()
    quick.analyst.turn(latency=8)
    rows = [ask(quick, session, file_id, question=f"Which colour? {n}") for n in range(40)]
    mine = Analysis.worker.startswith("doomed") & (Analysis.state == "running")

    def held():
        with quick.desk.database.transaction() as database:
            return list(database.scalars(select(Analysis.question).where(mine)))

    followers = [
        ask(quick, session, file_id, question=question) for question in quick.wait_for(held) for _ in range(3)
    ]
    quick.kill("doomed")
    quick.analyst.turn(latency=0)
    rows = finished(quick, session, [*rows, *followers])
    assert {row["status"] for row in rows} == {"completed"}
    assert len([row for row in rows if row["cached"]]) == len(followers)
    assert quick.analyst.ledger()["count"] <= 40 + SLOTS  # what the dead worker had asked, again


def test_in_a_batch_the_same_image_asked_twice_is_paid_once_and_results_say_so(quick, session, file_id):
    inputs = [{"image": file_id, "question": f"Is it teal? {n % 10}"} for n in range(200)]
    made = session.post(f"{quick.url}/api/v1/batches", json={"inputs": inputs}, timeout=60).json()
    url = f"{quick.url}/api/v1/batches/{made['id']}"
    quick.wait_for(lambda: session.get(url, timeout=30).json()["status"] == "completed", every=0.3)
    assert quick.analyst.ledger()["count"] == 10
    assert session.get(url, timeout=30).json()["cached"] == 190
    lines = list(csv.DictReader(io.StringIO(session.get(f"{url}/results?format=csv", timeout=30).text)))
    assert [line["cached"] for line in lines].count("true") == 190
    paid = {line["id"] for line in lines if line["cached"] == "false"}
    assert {line["cached_from"] for line in lines if line["cached"] == "true"} == paid
    used = session.get(f"{quick.url}/api/v1/usage?group_by=batch", timeout=30).json()["data"]
    assert [(row["calls"], row["cached"]) for row in used if row["batch"] == made["id"]] == [(10, 190)]


def test_a_short_form_takes_cache_and_tells_where_its_answer_is_from(quick, session, photo):
    def analyze(**fields):
        url, files = f"{quick.url}/api/v1/image/analyze", {"file": ("p.jpg", photo("navy"))}
        return session.post(url, files=files, data={"question": "What is it?", **fields}, timeout=60)

    first, again, fresh = analyze().json(), analyze().json(), analyze(cache="refresh").json()
    assert [each["metadata"]["cached_from"] for each in (first, again, fresh)] == [None, first["id"], None]
    assert analyze(cache="3600").json()["metadata"]["cached_from"] == fresh["id"]
    refused = analyze(cache="always")
    assert (refused.status_code, refused.json()["details"]["field"]) == (400, "cache")


def test_a_chat_is_asked_every_time_unless_its_header_says_otherwise(quick, session):
    def say(cache=None, **more):
        headers = {} if cache is None else {"X-Vitrine-Cache": cache}
        body = {"model": "pixel-analyst", "messages": [{"role": "user", "content": "Hello."}], **more}
        return session.post(f"{quick.url}/v1/chat/completions", json=body, headers=headers, timeout=60)

    plain = [say(), say()]
    first, again = say("auto"), say("auto")
    assert not any("X-Vitrine-Cached-From" in answer.headers for answer in (*plain, first))
    paid = first.json()["id"].removeprefix("chatcmpl-")
    assert again.headers["X-Vitrine-Cached-From"] == f"an_{paid}"
    assert again.json()["choices"] == first.json()["choices"]
    assert say("auto", stream=True).status_code == 200
    assert quick.analyst.ledger()["count"] == 4
    assert say("sometimes").status_code == 400

"""Batches through the whole system: everything is seen once, and the counts add up."""

import csv
import io
import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from batch_client import act, finished, look, paged, read_stream, submit


@pytest.fixture
def session(quick):
    return quick.session()


@pytest.fixture
def file_id(quick, session, photo):
    """A photo that many items may share."""
    answer = session.post(
        f"{quick.url}/api/v1/analyses",
        files={"file": ("p.jpg", photo("teal"))},
        data={"question": "?!", "wait": 20},
        timeout=30,
    )
    assert answer.json()["status"] == "completed"
    quick.analyst.reset()
    return answer.json()["images"][0]["file_id"]


def test_a_batch_is_polled_streamed_and_read_and_every_item_is_seen_once(quick, session, file_id):
    inputs = [{"custom_id": f"sku-{n}", "image": file_id, "question": f"Is it teal? {n}"} for n in range(300)]
    batch = submit(quick, session, inputs, metadata={"night": 1})
    assert (batch["status"], batch["counts"]["total"], batch["metadata"]) == ("running", 300, {"night": 1})
    with ThreadPoolExecutor(2) as pool:
        polled = pool.submit(finished, quick, session, batch["id"])
        seen, last_id, cuts = [], None, random.Random(1)
        while True:
            events, last_id = read_stream(
                quick, quick.session_of(session), batch["id"], last_id, cuts.randint(5, 60)
            )
            seen += [data["custom_id"] for name, data in events if name == "item"]
            if events[-1][0] == "done":
                break
        view = polled.result()
    assert sorted(seen) == sorted(item["custom_id"] for item in inputs)
    assert view["counts"] == {
        "total": 300, "completed": 300, "failed": 0, "cancelled": 0, "expired": 0, "pending": 0
    }  # fmt: skip
    assert (view["progress"], view["retry_after"]) == (1.0, None)
    assert quick.analyst.ledger()["count"] == 300
    url = f"{quick.url}/api/v1/batches/{batch['id']}/results"
    lines = session.get(f"{url}?format=ndjson", timeout=20).text.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == [item["custom_id"] for item in inputs]
    rows = list(csv.DictReader(io.StringIO(session.get(f"{url}?format=csv", timeout=20).text)))
    assert [row["custom_id"] for row in rows] == [item["custom_id"] for item in inputs]
    found = [row["custom_id"] for row in paged(quick, session, batch["id"], limit=70)]
    assert found == [item["custom_id"] for item in inputs]


def test_cancelling_half_way_keeps_what_is_done_and_asks_nothing_new(quick, session, file_id):
    quick.analyst.turn(latency=0.3)
    batch = submit(quick, session, [{"image": file_id, "question": f"? {n}"} for n in range(200)])
    quick.wait_for(lambda: look(quick, session, batch["id"])["counts"]["completed"] >= 8)
    answers = [act(quick, session, batch["id"], "cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    asked = quick.analyst.ledger()["count"]
    view = finished(quick, session, batch["id"])
    assert view["status"] == "cancelled"
    assert view["counts"]["completed"] + view["counts"]["cancelled"] == 200
    assert view["counts"]["completed"] >= 8
    assert quick.analyst.ledger()["count"] - asked <= 8  # what was claimed before the cancel
    url = f"{quick.url}/api/v1/batches/{batch['id']}/results?status=cancelled&limit=1000"
    assert len(session.get(url, timeout=10).json()["data"]) == view["counts"]["cancelled"]
    assert act(quick, session, batch["id"], "pause").status_code == 409
    assert act(quick, session, batch["id"], "resume").status_code == 409


def test_a_paused_batch_asks_nothing_until_it_is_resumed(quick, session, file_id):
    quick.analyst.turn(latency=0.2)
    batch = submit(quick, session, [{"image": file_id, "question": f"? {n}"} for n in range(60)])
    quick.wait_for(lambda: quick.analyst.ledger()["count"] >= 4)
    assert act(quick, session, batch["id"], "pause").json()["status"] == "paused"
    quick.wait_for(lambda: quick.analyst.ledger()["count"] == quick.analyst.ledger()["answered"])
    asked = quick.analyst.ledger()["count"]
    assert asked < 60
    quick.wait_for(lambda: look(quick, session, batch["id"])["counts"]["completed"] == asked)
    with pytest.raises(AssertionError, match="in time"):
        quick.wait_for(lambda: quick.analyst.ledger()["count"] > asked, seconds=2)
    assert act(quick, session, batch["id"], "resume").json()["status"] == "running"
    assert finished(quick, session, batch["id"])["counts"]["completed"] == 60


def test_a_pilot_runs_first_and_waits_with_a_projection(quick, session, file_id):
    batch = submit(quick, session, [{"image": file_id, "question": f"? {n}"} for n in range(40)], pilot=5)
    view = quick.wait_for(
        lambda: found if (found := look(quick, session, batch["id"]))["status"] == "paused" else None
    )
    assert (view["reason"], view["counts"]["completed"], view["counts"]["pending"]) == ("pilot done", 5, 35)
    assert view["projection"]["items"] == 5
    assert view["projection"]["total_cost"] == 0
    assert view["projection"]["error_rate"] == 0
    assert quick.analyst.ledger()["count"] == 5
    act(quick, session, batch["id"], "resume")
    assert finished(quick, session, batch["id"])["counts"]["completed"] == 40


def test_a_bad_image_fails_its_item_alone_and_can_be_tried_again(quick, session, photo):
    files = [("images", ("good.jpg", photo("navy"))), ("images", ("bad.jpg", b"not an image"))]
    answer = session.post(
        f"{quick.url}/api/v1/batches", files=files, data={"questions": ["one?", "two?"]}, timeout=20
    )
    view = finished(quick, session, answer.json()["id"])
    assert (view["status"], view["counts"]["completed"], view["counts"]["failed"]) == ("completed", 1, 1)
    again = act(quick, session, view["id"], "retry", states=["failed"])
    assert again.json()["status"] == "running"
    view = finished(quick, session, view["id"])
    assert (view["counts"]["completed"], view["counts"]["failed"]) == (1, 1)
    page = session.get(f"{quick.url}/api/v1/batches/{view['id']}/results", timeout=10).json()
    item = f"{quick.url}/api/v1/analyses/{page['data'][0]['id']}"
    assert session.delete(item, timeout=10).status_code == 409
    assert [(row["question"], row["status"]) for row in page["data"]] == [
        ("one?", "completed"),
        ("two?", "failed"),
    ]
    assert page["data"][1]["error"]["code"] == "image_undecodable"


def test_a_batch_of_one_account_is_nobody_elses(quick, session, file_id):
    batch = submit(quick, session, [{"image": file_id}])
    other = quick.session()
    base = f"{quick.url}/api/v1/batches/{batch['id']}"
    for path in ("", "/results", "/stream", "/results?format=csv"):
        assert other.get(base + path, timeout=10).status_code == 404
    for verb in ("pause", "resume", "cancel"):
        assert other.post(f"{base}/{verb}", timeout=10).status_code == 404
    assert other.post(f"{base}/retry", json={}, timeout=10).status_code == 404
    stolen = other.post(
        f"{quick.url}/api/v1/batches", json={"inputs": [{"image": file_id, "question": "?!"}]}, timeout=10
    )
    assert stolen.status_code == 400
    assert stolen.json()["details"]["errors"][0]["error"] == f"There is no file '{file_id}'."


def test_too_many_streams_are_told_to_come_back(quick, session, file_id):
    quick.analyst.turn(latency=20)
    batch = submit(quick, session, [{"image": file_id}])
    url = f"{quick.url}/api/v1/batches/{batch['id']}/stream"
    streams, refused = [], None
    try:
        for _ in range(200):
            answer = requests.get(url, headers=session.headers, stream=True, timeout=10)
            streams.append(answer)
            if answer.status_code == 503:
                refused = answer
                break
        assert refused is not None
        assert int(refused.headers["Retry-After"]) > 0
        assert requests.get(f"{quick.url}/health", timeout=5).status_code == 200
    finally:
        for answer in streams:
            answer.close()

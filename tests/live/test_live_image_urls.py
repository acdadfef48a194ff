"""Images named by a URL through the whole system: fetched where that is allowed, and nowhere else."""

import csv
import io
import json
import re
from urllib.parse import quote, unquote

import requests
from forbidden import spellings
from rawhost import OUTSIDE, RawHost, answering

FINAL = {"completed", "cancelled", "expired"}


def submit_sheet(live, session, urls):
    """A batch of a CSV file with a column of URLs."""
    text = io.StringIO()
    csv.writer(text).writerows([["custom_id", "image"], *enumerate(urls)])
    files = {"file": ("in.csv", text.getvalue().encode())}
    sheet = session.post(
        f"{live.url}/api/v1/files", files=files, data={"purpose": "batch"}, timeout=30
    ).json()
    body = {"input_file_id": sheet["id"], "defaults": {"question": "What colour is it?"}}
    return session.post(f"{live.url}/api/v1/batches", json=body, timeout=30)


def finished(live, session, batch):
    place = live.url + batch.headers["Location"]
    live.wait_for(lambda: session.get(place, timeout=30).json()["status"] in FINAL)
    return session.get(f"{place}/results?limit=1000", timeout=30).json()["data"]


def shade(number):
    return (number * 12, 0, 0)


def hosting(photo):
    """Images at /N.jpg; at /to/URL a redirect to it."""

    def speak(connection, head):
        path = head.split()[1]
        if path.startswith("/to/"):
            answering(302, Location=unquote(path.removeprefix("/to/")))(connection, head)
        elif number := re.fullmatch(r"/(\d+)\.jpg", path):
            answering(200, photo(shade(int(number[1]))))(connection, head)
        else:  # what some of these mean from here
            answering(404)(connection, head)

    return RawHost(speak, address=OUTSIDE)


def chat_about(url):
    parts = [
        {"type": "text", "text": "What is the dominant colour?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return {"model": "pixel-analyst", "messages": [{"role": "user", "content": parts}]}


def test_chats_and_their_batches_name_images_by_url(quick, photo):
    session, v1 = quick.session(), f"{quick.url}/v1"
    with hosting(photo) as host:
        chat = session.post(f"{v1}/chat/completions", json=chat_about(host.url("/20.jpg")), timeout=60)
        rows = [
            {
                "custom_id": str(number),
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": chat_about(host.url(path)),
            }
            for number, path in enumerate(["/20.jpg", "/nothing"])
        ]
        lines = "\n".join(map(json.dumps, rows)).encode()
        upload = {"files": {"file": ("in.jsonl", lines)}, "data": {"purpose": "batch"}}
        sheet = session.post(f"{v1}/files", timeout=30, **upload).json()
        order = {
            "input_file_id": sheet["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        batch = session.post(f"{v1}/batches", json=order, timeout=30).json()
        place = f"{v1}/batches/{batch['id']}"
        quick.wait_for(lambda: session.get(place, timeout=30).json()["status"] in FINAL)
    assert "red" in chat.json()["choices"][0]["message"]["content"]
    assert session.get(place, timeout=30).json()["request_counts"] == {
        "total": 2,
        "completed": 1,
        "failed": 1,
    }


def test_a_chat_does_not_reach_where_urls_may_not(quick):
    answer = quick.session().post(
        f"{quick.url}/v1/chat/completions", json=chat_about("http://169.254.169.254/latest"), timeout=30
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_sheet_of_urls_becomes_answers_with_files(quick, photo):
    session = quick.session()
    with hosting(photo) as host:
        urls = [host.url(f"/{number}.jpg") for number in range(20)]
        rows = finished(quick, session, submit_sheet(quick, session, urls))
    assert [row["status"] for row in rows] == ["completed"] * 20
    assert [row["images"][0]["url"] for row in rows] == urls
    assert len({row["images"][0]["sha256"] for row in rows}) == 20
    content = session.get(f"{quick.url}/api/v1/files/{rows[3]['images'][0]['file_id']}/content", timeout=30)
    assert content.content == photo(shade(3))


def test_no_redirect_reaches_a_forbidden_address_and_each_fails_its_item_alone(quick, photo):
    session = quick.session()
    with RawHost(answering(200, photo())) as canary, hosting(photo) as host:
        forbidden = [url for url in spellings(canary.port) if url.startswith("http") and url.isprintable()]
        urls = [
            host.url("/1.jpg"),
            *(host.url(f"/to/{quote(url, safe='')}") for url in forbidden),
            host.url("/2.jpg"),
        ]
        rows = finished(quick, session, submit_sheet(quick, session, urls))
        assert canary.connections == 0
        assert requests.get(canary.url(), timeout=10).ok
        assert canary.connections == 1
    assert [row["status"] for row in rows] == ["completed", *["failed"] * len(forbidden), "completed"]
    assert {row["error"]["code"] for row in rows[1:-1]} == {"image_unfetchable"}


def test_no_spelling_of_a_forbidden_address_is_accepted(quick, photo):
    session = quick.session()
    with RawHost(answering(200, photo())) as canary:
        for url in spellings(canary.port):
            body = {"question": "What is it?", "images": [{"url": url}]}
            answer = session.post(f"{quick.url}/api/v1/analyses", json=body, timeout=30)
            assert answer.status_code == 400, url
        assert canary.connections == 0

"""Images named by a URL through the whole system: fetched where that is allowed, and nowhere else."""

import csv
import io
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
    live.wait_for(lambda: session.get(place, timeout=30).json()["status"] in FINAL, 90)
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

"""Images named by a URL, as they are submitted: what is obviously forbidden is refused at once."""

import csv
import dataclasses
import io
import json
import re

import pytest
from forbidden import spellings
from sqlalchemy import func, select

from core.models import Analysis
from webapp.app import create_app

URL = "https://images.example/mug.jpg"


def submit(client, *images, **fields):
    body = {"question": "What is it?", "images": list(images), **fields}
    return client.post("/api/v1/analyses", json=body)


def submit_file(client, name, content):
    data = {"file": (io.BytesIO(content.encode()), name), "purpose": "batch"}
    file = client.post("/api/v1/files", data=data)
    assert file.status_code == 201, file.text
    return client.post(
        "/api/v1/batches", json={"input_file_id": file.json["id"], "defaults": {"question": "Which?"}}
    )


def sheet(rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def images_of(client, answer):
    assert answer.status_code == 202, answer.text
    rows = client.get(answer.headers["Location"] + "/results").json["data"]
    return [[image["url"] for image in row["images"]] for row in rows]


def stored(desk, key):
    with desk.database.transaction() as session:
        return session.scalar(select(func.count()).where(Analysis.account_id == key.key.account_id))


@pytest.fixture
def key(new_key):
    return new_key(unlimited=True)


def test_an_image_may_be_named_by_its_url_and_has_no_file_before_it_is_fetched(client):
    answer = submit(client, {"url": URL})
    assert answer.status_code == 202
    assert answer.json["images"] == [
        {
            "view": None,
            "url": URL,
            "file_id": None,
            "file_name": None,
            "file_size": None,
            "media_type": None,
            "sha256": None,
            "preparation": None,
        }
    ]
    assert client.get(answer.headers["Location"]).json == answer.json
    assert client.get("/api/v1/analyses").json["data"][0]["images"][0]["url"] == URL


def test_such_an_analysis_can_be_cancelled_and_deleted(client):
    place = submit(client, {"url": URL}).headers["Location"]
    assert client.post(f"{place}/cancel").status_code == 200
    assert client.delete(place).status_code == 200


@pytest.mark.parametrize(
    "image", [{"url": URL, "file_id": "file_1"}, {"url": URL, "base64": "AAAA"}, {"url": 7}]
)
def test_an_image_has_one_source(client, image):
    assert submit(client, image).status_code == 400


@pytest.mark.parametrize("url", spellings(80))
def test_a_forbidden_address_is_refused_wherever_it_is_submitted(client, key, desk, url):
    answer = submit(client, {"url": url})
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    inputs = [{"image": {"url": url}}, {"images": [{"url": URL}, {"url": url}]}]
    answer = client.post("/api/v1/batches", json={"inputs": inputs, "defaults": {"question": "Which?"}})
    assert answer.status_code == 400
    assert [problem["line"] for problem in answer.json["details"]["errors"]] == [1, 2]
    assert stored(desk, key) == 0


def test_a_sheet_of_forbidden_addresses_is_refused_with_every_line(client, key, desk):
    urls = [url for url in spellings(80) if url.isprintable() and re.match("https?://", url, re.IGNORECASE)]
    answer = submit_file(client, "in.csv", sheet([["custom_id", "image"], *enumerate(urls)]))
    assert answer.status_code == 400
    assert answer.json["details"]["error_count"] == len(urls)
    assert stored(desk, key) == 0


@pytest.mark.parametrize(
    "url", ["https://x.example/" + "a" * 5_000, "https://x.example/\ud800/", "https://\ud800/"]
)
def test_what_is_too_long_or_cannot_be_stored_is_no_address(client, url):
    body = json.dumps({"inputs": [{"image": url, "question": "Which?"}]})  # with escapes
    answer = client.post("/api/v1/batches", data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "http://images.example",
        "https://images.example:443/a/b.jpg?token=x%20y&w=1;h=2#top",
        "https://b\u00fccher.example/f\u00fc\u00df.jpg",
        "https://8.8.8.8/a.jpg",
        "https://[2606:4700::1111]/a.jpg",
        "HTTPS://IMAGES.EXAMPLE/A.JPG",
    ],
)
def test_public_addresses_are_taken_as_they_are_written(client, url):
    answer = submit(client, {"url": url})
    assert (answer.status_code, answer.json["images"][0]["url"]) == (202, url)


def test_items_of_a_batch_take_urls_in_every_form(client):
    second = "https://images.example/cup.jpg?size=1;crop=2"
    inputs = [{"image": URL}, {"image": {"url": URL}}, {"images": [URL, {"url": second}]}]
    answer = client.post("/api/v1/batches", json={"inputs": inputs, "defaults": {"question": "Which?"}})
    assert images_of(client, answer) == [[URL], [URL], [URL, second]]


def test_a_sheet_takes_urls_also_some_in_one_cell(client):
    second = "https://images.example/cup.jpg?size=1;crop=2"
    rows = [["sku", URL, ""], ["two", "", f"{URL}; {second};{URL}"], ["blank", f" {URL} ", ""]]
    answer = submit_file(client, "in.csv", sheet([["custom_id", "image", "images"], *rows]))
    assert images_of(client, answer) == [[URL], [URL, second, URL], [URL]]


def test_results_as_a_sheet_name_what_was_not_fetched_by_its_url(client):
    answer = client.post("/api/v1/batches", json={"inputs": [{"image": URL, "question": "Which?"}]})
    whole = client.get(answer.headers["Location"] + "/results?format=csv").text
    assert next(iter(csv.DictReader(io.StringIO(whole))))["file_names"] == URL


def test_where_urls_are_switched_off_they_are_refused_in_words(settings, desk, key):
    off = dataclasses.replace(settings, url_images=False)
    client = create_app(off, dataclasses.replace(desk, settings=off)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
    answer = submit(client, {"url": URL})
    assert answer.status_code == 400
    assert answer.json["error"] == "Images are not fetched from addresses here: upload them."
    answer = client.post("/api/v1/batches", json={"inputs": [{"image": URL, "question": "Which?"}]})
    assert "not fetched from addresses" in answer.json["error"]

"""Submitting: what is accepted is stored once and queued; what is not leaves nothing behind."""

import base64
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO, RawIOBase

import pytest
from sqlalchemy import func, select

from core.models import Analysis, AnalysisImage, Blob, File
from webapp.streams import KEPT_FREE


def form(content, name="photo.jpg", field="file", **fields):
    return {field: (BytesIO(content), name), **fields}


def submit(client, content, name="photo.jpg", **fields):
    fields = {"question": "What is it?", **fields}
    return client.post("/api/v1/analyses", data=form(content, name, **fields))


def stored(desk, account_id):
    """How many rows of the account there are: analyses, files."""
    with desk.database.transaction() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table).where(table.account_id == account_id))
            for table in (Analysis, File)
        )


def test_a_submission_is_accepted_with_where_and_when_to_look(client, photo):
    answer = submit(client, photo(), metadata='{"sku": "A-1"}')
    assert answer.status_code == 202
    assert answer.json["status"] == "queued"
    assert answer.json["metadata"] == {"sku": "A-1"}
    assert answer.headers["Location"] == f"/api/v1/analyses/{answer.json['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get(answer.headers["Location"]).json == answer.json


def test_a_look_that_waits_gets_what_there_is_when_the_time_is_up(client, photo):
    place = submit(client, photo()).headers["Location"]
    answer = client.get(f"{place}?wait=0.1")
    assert (answer.status_code, answer.json["status"]) == (200, "queued")
    assert int(answer.headers["Retry-After"]) > 0
    client.post(f"{place}/cancel")
    answer = client.get(f"{place}?wait=60")
    assert (answer.json["status"], "Retry-After" in answer.headers) == ("cancelled", False)


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "nan", ""])
def test_a_look_waits_no_longer_than_a_minute(client, photo, wait):
    place = submit(client, photo()).headers["Location"]
    assert client.get(f"{place}?wait={wait}").status_code == 400


def test_where_too_many_wait_already_others_are_answered_at_once(app, client, settings, photo):
    place = submit(client, photo()).headers["Location"]
    with ExitStack() as stack:
        taken = [stack.enter_context(app.extensions["streams"].place()) for _ in range(settings.web_threads)]
        assert taken.count(True) == settings.web_threads - KEPT_FREE
        started = time.monotonic()
        assert client.get(f"{place}?wait=60").json["status"] == "queued"
        waiting = submit(client, photo(), wait="60")
        assert (waiting.status_code, waiting.json["status"]) == (202, "queued")
        assert time.monotonic() - started < 60


def test_json_takes_base64_data_urls_and_files_from_before(client, photo):
    content = photo("teal")
    encoded = base64.b64encode(content).decode()
    first = client.post(
        "/api/v1/analyses", json={"question": "?!", "images": [{"base64": encoded, "name": "a.jpg"}]}
    )
    file_id = first.json["images"][0]["file_id"]
    images = [{"file_id": file_id}, {"base64": f"data:image/jpeg;base64,{encoded}"}]
    second = client.post("/api/v1/analyses", json={"question": "?!", "images": images})
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json["images"][0]["file_id"] == file_id
    assert {image["sha256"] for image in second.json["images"]} == {first.json["images"][0]["sha256"]}


def test_the_same_bytes_of_two_accounts_are_stored_once_and_seen_apart(app, new_key, desk, photo):
    content = photo("orange", (301, 207))
    answers = []
    for _ in range(2):
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
        answers.append((client, submit(client, content).json))
    (one, first), (other, second) = answers
    digest = first["images"][0]["sha256"]
    assert second["images"][0]["sha256"] == digest
    assert first["images"][0]["file_id"] != second["images"][0]["file_id"]
    with desk.database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(Blob).where(Blob.digest == digest)) == 1
    assert desk.blobs.get(digest) == content
    assert one.get(f"/api/v1/analyses/{second['id']}").status_code == 404
    assert other.post(f"/api/v1/analyses/{first['id']}/cancel").status_code == 404
    assert other.delete(f"/api/v1/analyses/{first['id']}").status_code == 404
    stolen = {"question": "?!", "images": [{"file_id": first["images"][0]["file_id"]}]}
    assert other.post("/api/v1/analyses", json=stolen).status_code == 404


BAD_FILES = {
    "empty": (b"", "photo.jpg", 400, "invalid_image"),
    "text named jpg": (b"hello, I am a text", "photo.jpg", 400, "invalid_image"),
    "html": (b"<!doctype html><p>hi", "photo.png", 400, "invalid_image"),
    "an extension that is not taken": (None, "photo.exe", 415, "unsupported_media_type"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo.svg", 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_and_leaves_nothing(client, key, desk, photo, case):
    content, name, status, code = BAD_FILES[case]
    answer = submit(client, photo() if content is None else content, name)
    assert (answer.status_code, answer.json["error_code"]) == (status, code)
    assert stored(desk, key.key.account_id) == (0, 0)


BAD_FIELDS = {
    "no question and no preset": {"question": None},
    "blank question": {"question": " \n\t "},
    "over-long question": {"question": "x" * 4001},
    "question with NUL": {"question": "what\x00is it"},
    "unknown preset": {"preset": "nonsense"},
    "unknown model": {"model": "gpt-17"},
    "metadata that is no object": {"metadata": "[1]"},
    "metadata that is no JSON": {"metadata": "{"},
    "metadata with NUL": {"metadata": '{"a": "\\u0000"}'},
    "too much metadata": {"metadata": json.dumps({"a": "x" * 20_000})},
    "too many tokens": {"max_tokens": "1000000"},
    "temperature that is no number": {"temperature": "NaN"},
    "unknown detail": {"detail": "ultra"},
    "waiting too long": {"wait": "61"},
    "a field that does not exist": {"quesiton": "?"},
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_a_bad_field_is_refused_with_its_name_and_leaves_nothing(client, key, desk, photo, case):
    fields = {"question": "What is it?", **BAD_FIELDS[case]}
    sent = {name: value for name, value in fields.items() if value is not None}
    answer = client.post("/api/v1/analyses", data=form(photo(), **sent))
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert next(iter(BAD_FIELDS[case])) in json.dumps(answer.json)
    assert stored(desk, key.key.account_id) == (0, 0)


BAD_JSON = {
    "no images": {"question": "?!"},
    "an empty list": {"question": "?!", "images": []},
    "an image without a source": {"question": "?!", "images": [{}]},
    "an image with two sources": {"question": "?!", "images": [{"file_id": "f", "base64": "aaaa"}]},
    "bad base64": {"question": "?!", "images": [{"base64": "%%%"}]},
    "base64 of text": {"question": "?!", "images": [{"base64": "aGVsbG8="}]},
    "a lone surrogate": {"question": "\ud800", "images": [{"file_id": "x"}]},
    "numbers as text": {"question": "?!", "images": [{"file_id": "x"}], "max_tokens": "5"},
    "metadata with NUL": {"question": "?!", "images": [{"file_id": "x"}], "metadata": {"a": {"b": ["\0"]}}},
    "metadata that is not finite": {
        "question": "?!",
        "images": [{"file_id": "x"}],
        "metadata": {"a": math.nan},
    },
    "metadata nested too deeply": {
        "question": "?!",
        "images": [{"file_id": "x"}],
        "metadata": json.loads('{"a":' * 40 + "1" + "}" * 40),
    },
    "too many images": {"question": "?!", "images": [{"file_id": "x"}] * 17},
    "not an object": ["question"],
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_refused_and_leaves_nothing(client, key, desk, case):
    sent = json.dumps(BAD_JSON[case])
    answer = client.post("/api/v1/analyses", data=sent, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["success"] is False
    assert answer.json["error"]
    assert stored(desk, key.key.account_id) == (0, 0)


def test_json_that_is_broken_and_types_that_are_not_taken_say_so(client):
    broken = client.post("/api/v1/analyses", data=b'{"question": ', content_type="application/json")
    wrong = client.post("/api/v1/analyses", data=b"x", content_type="text/plain")
    none = client.post("/api/v1/analyses")
    deep = client.post("/api/v1/analyses", data=b"[" * 100_000, content_type="application/json")
    assert (deep.status_code, deep.json["error_code"]) == (400, "invalid_request")
    assert (broken.status_code, broken.json["error_code"]) == (400, "invalid_request")
    assert (wrong.status_code, wrong.json["error_code"]) == (415, "unsupported_media_type")
    assert none.status_code == 415


class Stalled(RawIOBase):
    """A connection on which nothing more comes: reading gives up after a while."""

    def readinto(self, _buffer):
        raise BlockingIOError("Resource temporarily unavailable")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/json"])
def test_a_body_that_stops_on_its_way_is_told_so(client, kind):
    stalled = {"wsgi.input": Stalled(), "CONTENT_LENGTH": "5000"}
    answer = client.post("/api/v1/batches", content_type=kind, environ_overrides=stalled)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert answer.json["error"] == "The body of this request broke off, or came too slowly: send it again."


def test_a_413_names_the_limit_that_was_reached(client, settings):
    def told(**data):
        answer = client.post("/api/v1/batches", data=data, content_type="multipart/form-data")
        assert (answer.status_code, answer.json["error_code"]) == (413, "file_too_large")
        return answer.json["error"]

    form = "A form may have at most 250 parts, and its text fields 100,000 bytes together."
    assert told(question="?" * 200_000) == form
    assert told(questions=["?"] * 300) == form
    environ = {"CONTENT_LENGTH": str(settings.max_request_size + 1)}
    whole = client.post(
        "/api/v1/batches", data=b"{}", content_type="application/json", environ_overrides=environ
    )
    assert whole.status_code == 413
    most = f"{settings.max_request_size:,}"
    assert whole.json["error"] == f"The body of this request may have at most {most} bytes."


def test_a_file_over_the_limit_is_refused_whether_or_not_its_length_is_told(
    client, settings, desk, key, photo
):
    big = photo() + b"\0" * settings.max_file_size
    answer = submit(client, big)
    assert (answer.status_code, answer.json["error_code"]) == (413, "file_too_large")
    plain = client.post("/api/v1/image/analyze", data=form(big + b"\0" * 100_000, question="?!"))
    assert plain.status_code == 413
    encoded = {"question": "?!", "images": [{"base64": base64.b64encode(big).decode()}]}
    assert client.post("/api/v1/analyses", json=encoded).status_code == 413
    assert stored(desk, key.key.account_id) == (0, 0)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.jpg", "passwd.jpg"),
        ("..\\..\\windows\\photo.jpg", "photo.jpg"),
        ("신발 사진.jpg", "신발 사진.jpg"),
        ("a\u202egpj.jpg", "agpj.jpg"),
        ("tab\there.jpg", "tabhere.jpg"),
        ("x" * 400 + ".jpg", "x" * 251 + ".jpg"),
    ],
)
def test_a_name_is_kept_for_showing_and_never_as_a_path(client, photo, sent, kept):
    encoded = base64.b64encode(photo()).decode()
    body = {"question": "?!", "images": [{"base64": encoded, "name": sent[-255:]}]}
    answer = client.post("/api/v1/analyses", json=body)
    assert answer.json["images"][0]["file_name"] == kept


def test_right_bytes_under_another_image_name_are_taken_for_what_they_are(client, photo):
    answer = submit(client, photo(form="PNG"), "photo.jpg")
    assert answer.status_code == 202
    assert answer.json["images"][0]["media_type"] == "image/png"


def test_images_keep_the_order_in_which_they_were_sent(client, photo):
    files = [(BytesIO(photo(color)), f"{color}.jpg") for color in ("red", "green", "blue")]
    answer = client.post("/api/v1/analyses", data={"file": files, "question": "?!"})
    assert [image["file_name"] for image in answer.json["images"]] == ["red.jpg", "green.jpg", "blue.jpg"]


def test_a_deleted_analysis_takes_its_files_along_but_not_what_others_use(client, desk, photo):
    first = submit(client, photo("purple")).json
    file_id = first["images"][0]["file_id"]
    second = client.post("/api/v1/analyses", json={"question": "?!", "images": [{"file_id": file_id}]}).json
    for analysis in (first, second):
        assert client.delete(f"/api/v1/analyses/{analysis['id']}").status_code == 409
        assert client.post(f"/api/v1/analyses/{analysis['id']}/cancel").json["status"] == "cancelled"
    assert client.delete(f"/api/v1/analyses/{first['id']}").json["deleted"] is True
    assert client.get(f"/api/v1/analyses/{first['id']}").status_code == 404
    with desk.database.transaction() as session:
        assert session.get(File, file_id) is not None
    assert client.delete(f"/api/v1/analyses/{second['id']}").status_code == 200
    with desk.database.transaction() as session:
        assert session.get(File, file_id) is None
        assert (
            session.scalar(
                select(func.count()).select_from(AnalysisImage).where(AnalysisImage.file_id == file_id)
            )
            == 0
        )


def test_cancelling_twice_is_the_same_as_once(client, photo):
    analysis = submit(client, photo()).json
    answers = [client.post(f"/api/v1/analyses/{analysis['id']}/cancel") for _ in range(2)]
    assert [(answer.status_code, answer.json["status"]) for answer in answers] == [(200, "cancelled")] * 2


def test_a_file_is_never_deleted_under_a_submission_that_uses_it(app, new_key, photo):
    """Submitting and deleting at once: either the submission is refused, or its file is there."""
    secret = new_key().secret

    def signed_in():
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        return client

    for _ in range(8):
        first = submit(signed_in(), photo("navy")).json
        signed_in().post(f"/api/v1/analyses/{first['id']}/cancel")
        body = {"question": "?!", "images": [{"file_id": first["images"][0]["file_id"]}]}
        with ThreadPoolExecutor(2) as pool:
            submitted = pool.submit(lambda body=body: signed_in().post("/api/v1/analyses", json=body))
            deleted = pool.submit(lambda first=first: signed_in().delete(f"/api/v1/analyses/{first['id']}"))
        assert deleted.result().status_code == 200
        assert submitted.result().status_code in {202, 404}
        if submitted.result().status_code == 202:
            assert signed_in().get(submitted.result().headers["Location"]).json["images"][0]["file_name"]

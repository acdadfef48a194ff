"""The whole system as real processes: gunicorn, two Celery workers, Postgres, Valkey, the pixel analyst."""

import http.client
import io
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import redis
import requests
from PIL import Image
from sqlalchemy import func, select

from core.models import Analysis

SLOTS = 4
"""Of one worker; see the fixture."""
FINAL = {"completed", "failed", "cancelled", "expired"}


def textured(seed, form="JPEG", **options):
    """A small photo that no other seed makes."""
    noise = random.Random(seed).randbytes(48 * 36 * 3)
    image = Image.frombytes("RGB", (48, 36), noise).resize((480, 360), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def submit(live, session, content, **fields):
    fields = {"question": "What colour is it?", **fields}
    answer = session.post(
        f"{live.url}/api/v1/analyses", files={"file": ("p.jpg", content)}, data=fields, timeout=30
    )
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def finished(live, session, ids):
    """Every analysis of the account, once all are final; there are no others."""

    def all_final():
        rows = session.get(f"{live.url}/api/v1/analyses?limit=100", timeout=30).json()["data"]
        assert {row["id"] for row in rows} == set(ids)
        return rows if all(row["status"] in FINAL for row in rows) else None

    return live.wait_for(all_final, every=0.3)


def test_fifty_photos_go_from_post_to_completed_through_two_workers(quick):
    session = quick.session()
    quick.analyst.turn(latency=0.1)
    with ThreadPoolExecutor(8) as pool:
        ids = [row["id"] for row in pool.map(lambda n: submit(quick, session, textured(n)), range(50))]
    rows = finished(quick, session, ids)
    assert {row["status"] for row in rows} == {"completed"}
    assert all(row["answer"] and row["usage"]["total_tokens"] > 0 and row["attempts"] == 1 for row in rows)
    assert all(row["cost"]["total_cost"] == 0 for row in rows)
    assert quick.analyst.ledger()["count"] == 50
    page = session.get(f"{quick.url}/api/v1/analyses?limit=100&status=completed", timeout=10).json()
    assert {row["id"] for row in page["data"]} == set(ids)


def test_what_waits_when_valkey_is_wiped_is_completed_all_the_same(quick):
    session = quick.session()
    quick.analyst.turn(latency=1.5)
    with ThreadPoolExecutor(8) as pool:
        ids = [row["id"] for row in pool.map(lambda n: submit(quick, session, textured(100 + n)), range(50))]
    valkey = redis.Redis.from_url(quick.environment["REDIS_URL"])
    assert valkey.llen("vitrine:interactive") > 0
    valkey.flushall()
    rows = finished(quick, session, ids)
    assert {row["status"] for row in rows} == {"completed"}
    assert quick.analyst.ledger()["count"] == 50


def test_one_request_id_goes_from_http_to_the_endpoint(quick):
    session = quick.session()
    files = {"file": ("p.jpg", textured(1))}
    headers = {"X-Request-ID": "trace-42"}
    answer = session.post(
        f"{quick.url}/api/v1/image/analyze", files=files, data={"question": "?!"}, headers=headers, timeout=40
    )
    assert answer.headers["X-Request-ID"] == "trace-42"
    assert [call["request_id"] for call in quick.analyst.ledger()["calls"]] == ["trace-42"]


@pytest.mark.parametrize("path", ["image/analyze", "image/analyze-with-context"])
def test_the_plain_endpoints_answer_in_words(quick, path):
    context = {"context": "A shop of mugs."} if "context" in path else {}
    answer = quick.session().post(
        f"{quick.url}/api/v1/{path}",
        files={"file": ("mug.jpg", textured(2))},
        data={"question": "What colour is it?", **context},
        timeout=40,
    )
    body = answer.json()
    assert (answer.status_code, body["success"]) == (200, True)
    assert body["answer"]
    assert body["metadata"]["file_name"] == "mug.jpg"
    assert body["metadata"]["file_size"] == len(textured(2))
    assert body["metadata"]["context_provided"] is bool(context)
    assert body["metadata"]["token_usage"]["total_tokens"] > 0
    assert body["processing_time"] > 0


def test_a_product_photo_becomes_a_catalogue_entry(quick):
    answer = quick.session().post(
        f"{quick.url}/api/v1/analyze-product", files={"image": ("mug.jpg", textured(3))}, timeout=40
    )
    assert answer.status_code == 200
    assert answer.json()["data"]["dominant_colors"]
    assert answer.json()["confidence"] is not None


@pytest.mark.parametrize(
    ("content", "code"),
    [(textured(4)[:500], "image_undecodable"), (textured(4, "PNG")[:100], "image_undecodable")],
    ids=["truncated jpeg", "truncated png"],
)
def test_a_plain_endpoint_tells_a_bad_image_as_a_400(quick, content, code):
    answer = quick.session().post(
        f"{quick.url}/api/v1/image/analyze",
        files={"file": ("p.jpg", content)},
        data={"question": "?!"},
        timeout=40,
    )
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["details"]["analysis_id"].startswith("an_")
    assert quick.analyst.ledger()["count"] == 0


def test_an_answer_within_wait_is_a_200_and_one_beyond_it_a_202(quick):
    session = quick.session()
    assert submit(quick, session, textured(5), wait=20)["status"] == "completed"
    quick.analyst.turn(latency=3)
    late = submit(quick, session, textured(6), wait=0.5)
    assert late["status"] in {"queued", "running"}
    place = f"{quick.url}/api/v1/analyses/{late['id']}"
    assert session.get(f"{place}?wait=60", timeout=70).json()["status"] == "completed"


def test_neither_gps_nor_any_other_metadata_reaches_the_endpoint(quick):
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.0)
    row = submit(quick, quick.session(), textured(7, exif=exif, comment=b"secret comment"), wait=20)
    [call] = quick.analyst.ledger()["calls"]
    [sent] = call["images"]
    content = requests.get(f"{quick.analyst.root}/control/ledger/images/{sent['sha256']}", timeout=5).content
    assert row["status"] == "completed"
    assert len(content) == sent["bytes"]
    assert b"secret" not in content
    assert b"Exif" not in content
    assert not Image.open(io.BytesIO(content)).getexif()


def test_a_body_over_the_limit_is_refused_before_it_is_read(quick):
    """The length alone is enough: the answer comes although the body never does."""
    session = quick.session()
    connection = http.client.HTTPConnection(urlsplit(quick.url).netloc, timeout=10)
    connection.putrequest("POST", "/api/v1/image/analyze")
    connection.putheader("Authorization", session.headers["Authorization"])
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(50_000_000))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"file_too_large" in answer.read()


def test_a_client_that_sends_too_much_still_reads_why(quick):
    files = {"file": ("p.jpg", textured(8) + b"\0" * 40_000_000)}
    answer = quick.session().post(
        f"{quick.url}/api/v1/image/analyze", files=files, data={"question": "?!"}, timeout=30
    )
    assert (answer.status_code, answer.json()["error_code"]) == (413, "file_too_large")


def test_an_upload_that_breaks_off_leaves_nothing(quick):
    session = quick.session()
    host, port = urlsplit(quick.url).netloc.split(":")
    head = (
        "POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
        f"Authorization: {session.headers['Authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'
    )
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(head.encode() + textured(9)[:1000])
    assert session.get(f"{quick.url}/api/v1/analyses", timeout=10).json()["data"] == []


def test_no_secret_and_no_image_is_in_any_log(quick, folder):
    session = quick.session()
    submit(quick, session, textured(10), wait=20)
    logs = "".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
    assert "analysis_completed" in logs
    secrets = [
        session.headers["Authorization"].removeprefix("Bearer "),
        quick.environment["OPENAI_API_KEY"],
        quick.environment["REDIS_URL"].split("@")[0].rsplit(":", 1)[-1],
        "base64,/9j/",
    ]
    assert not [secret for secret in secrets if secret in logs]


def test_a_killed_worker_loses_nothing(quick):
    """Its leases run out, and the other workers take over. The extra calls are on the books."""
    session = quick.session()
    quick.start_doomed()
    quick.analyst.turn(latency=2)
    ids = [submit(quick, session, textured(200 + n))["id"] for n in range(40)]
    mine = Analysis.worker.startswith("doomed") & (Analysis.state == "running")

    def held():
        with quick.desk.database.transaction() as database:
            return database.scalar(select(func.count()).where(mine))

    quick.wait_for(held)
    quick.kill("doomed")
    quick.analyst.turn(latency=0)
    rows = finished(quick, session, ids)
    assert {row["status"] for row in rows} == {"completed"}
    extra = quick.analyst.ledger()["count"] - 40
    assert 0 <= extra <= SLOTS

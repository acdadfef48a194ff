"""Images that look alike, through the whole system: workers measure what web processes ask about."""

import hashlib
import io
import re

from PIL import Image, ImageDraw


def picture(seed):
    image = Image.new("RGB", (640, 480), (240, 236, 228))
    draw = ImageDraw.Draw(image)
    for place in range(6):
        step = seed * 11 + place * 17
        left, top = step * 29 % 480, step * 53 % 330
        color = (step * 71 % 256, step * 37 % 256, step * 113 % 256)
        draw.ellipse((left, top, left + 90 + step % 70, top + 80 + step * 3 % 80), fill=color)
    return image


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def upload(session, url, content):
    answer = session.post(f"{url}/api/v1/files", files={"file": ("p.jpg", content)}, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def search(session, url, content):
    answer = session.post(f"{url}/api/v1/similar", files={"file": ("p.jpg", content)}, timeout=90)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_what_was_analysed_is_found_without_anybody_asking_for_an_index(quick):
    session = quick.session()
    body = {"question": "What is it?", "metadata": '{"sku": "A-1"}', "wait": "30"}
    made = session.post(
        f"{quick.url}/api/v1/analyses",
        files={"file": ("p.jpg", encoded(picture(1)))},
        data=body,
        timeout=90,
    ).json()
    assert made["status"] == "completed"
    small = encoded(picture(1).resize((320, 240)), quality=50)
    [row] = quick.wait_for(lambda: search(session, quick.url, small))
    assert row["metadata"] == {"sku": "A-1"}
    assert row["analysis_id"] == made["id"]
    assert "near-duplicate" in row["reasons"]


def test_uploads_are_measured_by_a_worker_when_somebody_asks_about_them(quick):
    session = quick.session()
    one, other = (upload(session, quick.url, encoded(picture(2), quality=quality)) for quality in (90, 40))
    for file_id in (one, other):
        answer = session.get(f"{quick.url}/api/v1/files/{file_id}/duplicates", timeout=90)
        assert answer.status_code == 200, answer.text
    again = session.get(f"{quick.url}/api/v1/files/{one}/duplicates", timeout=90).json()
    assert [row["id"] for row in again["data"]] == [other]


def test_an_image_that_no_worker_can_decode_is_refused_and_the_workers_live(quick):
    session = quick.session()
    broken = encoded(picture(3))[:700]
    answer = session.post(f"{quick.url}/api/v1/similar", files={"file": ("p.jpg", broken)}, timeout=90)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "image_undecodable"
    assert search(session, quick.url, encoded(picture(3))) == []


def test_rebuilding_the_index_measures_what_is_missing_tells_what_it_cannot_and_then_has_nothing_to_do(quick):
    session = quick.session()
    upload(session, quick.url, encoded(picture(4)))
    upload(session, quick.url, encoded(picture(5))[:700])
    first, second = quick.vitrine("index", "rebuild"), quick.vitrine("index", "rebuild")
    assert first.returncode == 0, first.stderr
    assert re.search(r"\d+ images? could not be decoded, and will not be found\.", first.stderr)
    assert re.search(r"[1-9]\d* images? measured\.", first.stderr)
    assert "Every image is in the index." in second.stderr
    [row] = search(session, quick.url, encoded(picture(4), quality=60))
    assert row["sha256"] == hashlib.sha256(encoded(picture(4))).hexdigest()

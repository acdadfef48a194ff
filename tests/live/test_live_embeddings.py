"""Similar images by the endpoint's embeddings, through real processes: ordered, paid once, and found by."""

import dataclasses
import hashlib
import io

import pytest
from endpoint import Analyst
from livesystem import system_of
from PIL import Image

from core.services import image_embeddings

MODEL = "text-embedding-3-small"


@pytest.fixture(scope="module")
def embedding(servers, folder, settings):
    """gunicorn, two workers and the analyst, with a model for the embeddings of images."""
    own = {"SIMILAR_EMBEDDING_MODEL": MODEL, "WORKER_CONCURRENCY": "4", "WEB_THREADS": "16"}
    settings = dataclasses.replace(settings, similar_embedding_model=MODEL)
    with system_of(servers, settings, folder, "embedding", 6, Analyst(), **own) as system:
        system.start_web("embedding-web")
        for number in (1, 2):
            system.start_worker(f"embedding-{number}")
        system.wait_for(lambda: system.sees_workers(2))
        yield system


@pytest.fixture
def session(embedding):
    embedding.analyst.reset()
    embedding.forget_limits()
    return embedding.session()


def picture(color, quality=90):
    image = Image.new("RGB", (640, 480), "white")
    image.paste(color, (160, 120, 480, 360))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def analyse(live, session, content):
    fields = {"question": "What is it?", "wait": "30"}
    files = {"file": ("p.jpg", content)}
    made = session.post(f"{live.url}/api/v1/analyses", files=files, data=fields, timeout=90).json()
    assert made["status"] == "completed", made
    return made


def upload(live, session, content):
    answer = session.post(f"{live.url}/api/v1/files", files={"file": ("p.jpg", content)}, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def search(live, session, content):
    answer = session.post(f"{live.url}/api/v1/similar", files={"file": ("p.jpg", content)}, timeout=90)
    assert answer.status_code == 200, answer.text
    return answer.json()


def embedded(live, session):
    """The analyses that embed images."""
    rows = session.get(f"{live.url}/api/v1/analyses", timeout=30).json()["data"]
    return [row for row in rows if row["preset"] == image_embeddings.PRESET]


def has_embedded(live, session, count):
    rows = embedded(live, session)
    return rows if [row["status"] for row in rows] == ["completed"] * count else None


def test_what_was_analysed_is_embedded_and_what_is_sent_is_ranked_by_that(embedding, session):
    for color in ("red", "blue"):
        analyse(embedding, session, picture(color))
    embedding.wait_for(lambda: has_embedded(embedding, session, 2))
    answer = embedding.wait_for(lambda: by_embedding(embedding, session, picture("darkred", 70)))
    assert [row["ranked_by"] for row in answer["data"]] == ["embedding"] * 2
    assert answer["data"][0]["sha256"] == hashlib.sha256(picture("red")).hexdigest()
    assert answer["data"][0]["analysis_id"] not in {row["id"] for row in embedded(embedding, session)}


def by_embedding(live, session, content):
    """A search, once it is ranked so: the first may be answered before the endpoint has answered."""
    answer = search(live, session, content)
    return answer if answer["ranked_by"] == "embedding" else None


def test_the_command_tells_that_scores_come_from_embeddings(embedding, session, tmp_path):
    analyse(embedding, session, picture("olive"))
    upload(embedding, session, picture("plum"))
    embedding.wait_for(lambda: has_embedded(embedding, session, 1))
    (tmp_path / "asked.jpg").write_bytes(picture("olive", 60))
    embedding.wait_for(lambda: by_embedding(embedding, session, picture("olive", 60)))
    secret = session.headers["Authorization"].removeprefix("Bearer ")
    server = ("--url", embedding.url, "--key", secret)
    found = embedding.vitrine("similar", str(tmp_path / "asked.jpg"), *server)
    assert found.returncode == 0, found.stderr
    assert "Ranked by embeddings: scores are cosines." in found.stderr


def test_an_estimate_says_what_the_embedding_of_an_image_then_takes(embedding, session):
    stored = upload(embedding, session, picture("teal"))
    asked = {"images": [{"file_id": stored}], "question": "What is it?"}
    estimated = session.post(f"{embedding.url}/api/v1/estimate", json=asked, timeout=30).json()["embeddings"]
    analyse(embedding, session, picture("teal"))
    [row] = embedding.wait_for(lambda: has_embedded(embedding, session, 1))
    assert estimated["calls"] == 1
    paid = row["usage"]["prompt_tokens"]
    assert estimated["usage"]["prompt_tokens"] == paid > 85  # which it would be with the detail low


def test_each_image_is_paid_once_and_is_in_the_usage_with_a_preset_of_its_own(embedding, session):
    content = picture("green")
    for question in ("What is it?", "What colour?"):
        body = {"question": question, "wait": "30"}
        files = {"file": ("p.jpg", content)}
        session.post(f"{embedding.url}/api/v1/analyses", files=files, data=body, timeout=90)
    embedding.wait_for(lambda: has_embedded(embedding, session, 1))
    for _ in range(2):
        search(embedding, session, content)
    [row] = embedded(embedding, session)
    assert row["usage"]["prompt_tokens"] > 0
    assert row["cost"]["total_cost"] > 0
    usage = session.get(f"{embedding.url}/api/v1/usage?group_by=preset", timeout=30).json()
    [group] = [group for group in usage["data"] if group["preset"] == image_embeddings.PRESET]
    assert group["calls"] == 1
    assert group["cost"]["total_cost"] == pytest.approx(row["cost"]["total_cost"])


def test_rebuilding_embeds_what_lacks_it_tells_that_it_is_paid_and_then_has_nothing_to_do(embedding, session):
    embedding.vitrine("index", "rebuild")  # what other tests have left
    for color in ("orange", "purple", "teal"):
        upload(embedding, session, picture(color))
    first, second = embedding.vitrine("index", "rebuild"), embedding.vitrine("index", "rebuild")
    assert first.returncode == 0, first.stderr
    assert f"3 images lack an embedding by {MODEL}: each is a paid call, made now." in first.stderr
    assert "3 images embedded." in first.stderr
    assert f"Every image has its embedding by {MODEL}." in second.stderr
    assert len(embedded(embedding, session)) == 3


def test_an_endpoint_that_fails_leaves_analyses_and_searches_working(embedding, session):
    made = analyse(embedding, session, picture("navy"))
    embedding.wait_for(lambda: has_embedded(embedding, session, 1))
    embedding.analyst.turn(insufficient_quota=True)
    answer = search(embedding, session, picture("gold"))
    embedding.analyst.turn(insufficient_quota=False)
    [row] = answer["data"]
    assert (row["analysis_id"], answer["ranked_by"]) == (made["id"], "measures")

"""Similar images by the endpoint's embeddings: who is ranked by them, who is not, and what is told of it."""

import base64
import dataclasses
import hashlib
import io
from decimal import Decimal

import pytest
from PIL import Image

from core.ids import new_id
from core.models import BudgetKind
from core.services import image_embeddings
from core.services.keys import Scope
from core.store import embeddings
from core.store.embeddings import Wanted
from webapp.app import create_app
from worker.indexing import Indexer
from worker.preparer import Preparer

MODEL, OTHER = "text-embedding-3-small", "text-embedding-3-large"


@pytest.fixture(scope="module")
def embedding_desk(settings, desk):
    # The requests end soon, for nobody works here.
    named = dataclasses.replace(settings, similar_embedding_model=MODEL, request_timeout=0.5)
    return dataclasses.replace(desk, settings=named)


@pytest.fixture(scope="module")
def indexer(embedding_desk):
    with Preparer() as preparer:
        opened = Indexer(embedding_desk, preparer)
        yield opened
        opened.close()


@pytest.fixture
def sign_in(embedding_desk):
    app = create_app(embedding_desk.settings, embedding_desk)

    def sign(key):
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
        return client

    return sign


@pytest.fixture
def account():
    return new_id("shop")


@pytest.fixture
def key(new_key, account):
    return new_key(account=account)


@pytest.fixture
def client(sign_in, key):
    return sign_in(key)


def picture(color):
    image = Image.new("RGB", (120, 120), "white")
    image.paste(color, (30, 30, 90, 90))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def upload(client, indexer):
    def send(color, by=None):
        sent = {"file": (io.BytesIO(picture(color)), f"{color}.jpg")}
        made = (by or client).post("/api/v1/files", data=sent).json
        indexer.measure(made["sha256"])
        return made

    return send


@pytest.fixture
def embed(embedding_desk, key):
    """Keep a vector of a file, as a worker does."""

    def keep(file, *vector, model=MODEL, account=key.key.account_id):
        wanted = Wanted(account, model, file["sha256"])
        with embedding_desk.database.transaction() as session:
            embeddings.order(session, wanted, new_id("an"))
        with embedding_desk.database.statement() as connection:
            embeddings.keep(connection, wanted, vector)

    return keep


def search(client, file, **options):
    answer = client.post("/api/v1/similar", json={"image": {"file_id": file["id"]}, **options})
    assert answer.status_code == 200, answer.json
    return answer.json


def told(answer):
    return [(row["file_name"], row["ranked_by"]) for row in answer["data"]]


def test_images_with_an_embedding_come_first_by_it_and_the_others_by_measures(client, upload, embed):
    asked, near, far, _ = (upload(color) for color in ("red", "blue", "green", "yellow"))
    embed(asked, 1.0, 0.0)
    embed(near, 0.8, 0.6)
    embed(far, 0.6, 0.8)
    answer = search(client, asked)
    assert told(answer) == [
        ("blue.jpg", "embedding"),
        ("green.jpg", "embedding"),
        ("yellow.jpg", "measures"),
    ]
    assert answer["ranked_by"] == "embedding"
    assert [row["score"] for row in answer["data"][:2]] == pytest.approx([0.8, 0.6], abs=1e-3)
    assert "same shape" in answer["data"][0]["reasons"]
    assert told(search(client, asked, limit=1)) == [("blue.jpg", "embedding")]


def test_an_image_without_an_embedding_is_asked_about_by_measures(client, upload, embed):
    asked, other = upload("red"), upload("blue")
    embed(other, 1.0, 0.0)
    answer = search(client, asked)
    assert told(answer) == [("blue.jpg", "measures")]
    assert answer["ranked_by"] == "measures"


def test_vectors_of_another_model_or_length_are_never_compared(client, upload, embed):
    asked, longer, other = (upload(color) for color in ("red", "blue", "green"))
    embed(asked, 1.0, 0.0)
    embed(longer, 1.0, 0.0, 0.0)
    embed(other, 1.0, 0.0, model=OTHER)
    assert {by for _, by in told(search(client, asked))} == {"measures"}


def test_a_search_never_sees_the_embeddings_of_other_accounts(client, upload, embed, new_key, sign_in):
    mine, shared = upload("red"), upload("blue")
    embed(mine, 1.0, 0.0)
    stranger = new_key()
    theirs = upload("blue", sign_in(stranger))
    embed(theirs, 1.0, 0.0, account=stranger.key.account_id)
    assert shared["sha256"] == theirs["sha256"]
    assert told(search(client, mine)) == [("blue.jpg", "measures")]


def test_opposite_vectors_have_nothing_in_common_and_the_same_all(client, upload, embed):
    asked, same, opposite = (upload(color) for color in ("red", "blue", "green"))
    embed(asked, 0.6, 0.8)
    embed(same, 0.6, 0.8)
    embed(opposite, -0.6, -0.8)
    scores = [row["score"] for row in search(client, asked)["data"]]
    assert scores == pytest.approx([1, 0], abs=1e-3)


def test_metadata_narrows_what_is_ranked_by_embeddings(client, upload, embed):
    asked, other = upload("red"), upload("blue")
    embed(asked, 1.0, 0.0)
    embed(other, 1.0, 0.0)
    assert search(client, asked, metadata={"season": "spring"})["data"] == []


def orders(client):
    rows = client.get("/api/v1/analyses").json["data"]
    return [row for row in rows if row["preset"] == image_embeddings.PRESET]


def test_a_search_orders_what_it_lacks_once_and_does_without_where_it_does_not_come_in_time(client, upload):
    asked = upload("red")
    upload("blue")
    for _ in range(2):
        assert search(client, asked)["ranked_by"] == "measures"
    [order] = orders(client)
    assert (order["status"], order["model"], order["images"]) == ("queued", MODEL, [])


def test_an_image_that_is_only_sent_is_ordered_too_and_becomes_no_file(client, upload, embed, indexer):
    other, content = upload("blue"), picture("purple")
    gone = upload("purple")
    client.delete(f"/api/v1/files/{gone['id']}")
    embed(other, 1.0, 0.0)
    answer = client.post("/api/v1/similar", json={"image": {"base64": base64.b64encode(content).decode()}})
    assert answer.json["ranked_by"] == "measures"
    assert len(orders(client)) == 1
    embed({"sha256": hashlib.sha256(content).hexdigest()}, 1.0, 0.0)
    answer = client.post("/api/v1/similar", json={"image": {"base64": base64.b64encode(content).decode()}})
    assert told(answer.json) == [("blue.jpg", "embedding")]
    assert len(client.get("/api/v1/files").json["data"]) == 1


def test_a_key_that_may_only_read_causes_no_costs_but_sees_what_is_there(
    client, upload, embed, new_key, sign_in, account
):
    asked, other = upload("red"), upload("blue")
    reader = sign_in(new_key(account=account, scopes=frozenset({Scope.READ})))
    assert search(reader, asked)["ranked_by"] == "measures"
    assert orders(client) == []
    embed(asked, 1.0, 0.0)
    embed(other, 1.0, 0.0)
    assert search(reader, asked)["ranked_by"] == "embedding"


def test_a_budget_that_is_used_up_leaves_a_search_to_measures(client, upload, new_key, sign_in, account):
    asked = upload("red")
    upload("blue")
    poor = sign_in(new_key(account=account, spending={BudgetKind.DAILY_TOKENS: Decimal(1)}))
    assert told(search(poor, asked)) == [("blue.jpg", "measures")]
    assert orders(client) == []


def test_without_a_model_nothing_is_ordered_and_nothing_compared(app, upload, embed, key, client):
    asked, other = upload("red"), upload("blue")
    for file in (asked, other):
        embed(file, 1.0, 0.0)
    plain = app.test_client()
    plain.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
    assert told(search(plain, asked)) == [("blue.jpg", "measures")]
    assert orders(client) == []


def test_an_estimate_tells_what_the_embeddings_of_new_images_would_take(client, app, key, upload, embed):
    known, new = upload("red"), upload("blue")
    embed(known, 1.0, 0.0)
    images = [known["id"], new["id"], new["id"], "https://shop.example/a.jpg"]
    body = {"inputs": [{"image": image} for image in images], "defaults": {"question": "?", "cache": "off"}}
    found = client.post("/api/v1/estimate", json=body).json
    embeddings = found["embeddings"]
    assert (found["calls"], embeddings["calls"]) == (4, 2)
    assert embeddings["usage"]["prompt_tokens"] == embeddings["usage"]["total_tokens"] > 0
    assert embeddings["cost"]["total_cost"] > 0
    assert found["cost"]["total_cost"] == 0  # of the submission alone, as of a batch and its max_cost
    plain = app.test_client()
    plain.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
    assert plain.post("/api/v1/estimate", json=body).json["embeddings"] is None

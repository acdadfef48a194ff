"""Images that look alike: which are found, whose they are, and what happens to what cannot be measured."""

import base64
import dataclasses
import io
import threading

import pytest
from PIL import Image, ImageDraw

from core.errors import ImageUndecodable
from core.services import indexing
from webapp.app import create_app
from worker import features
from worker.indexing import Indexer
from worker.preparer import Preparer


def picture(seed=0, size=(400, 400)):
    """A few blocks of colour, never the same twice."""
    image = Image.new("RGB", size, (250, 250, 245))
    draw = ImageDraw.Draw(image)
    for place in range(5):
        step = seed * 7 + place * 13
        left, top = 20 + step * 29 % 220, 20 + step * 53 % 220
        color = (step * 71 % 256, step * 37 % 256, step * 113 % 256)
        draw.rectangle((left, top, left + 60 + step % 70, top + 50 + step * 3 % 80), fill=color)
    return image


def encoded(image, form="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def indexer(desk):
    with Preparer() as preparer:
        opened = Indexer(desk, preparer)
        yield opened
        opened.close()


@pytest.fixture
def upload(client, indexer):
    """Upload and measure an image; its file."""

    def send(image, name="p.jpg", *, measured=True, **options):
        content = image if isinstance(image, bytes) else encoded(image, **options)
        made = client.post("/api/v1/files", data={"file": (io.BytesIO(content), name)}).json
        if measured:
            indexer.measure(made["sha256"])
        return made

    return send


def duplicates(client, file, **query):
    return client.get(f"/api/v1/files/{file['id']}/duplicates", query_string=query)


def search(client, file=None, content=None, **options):
    image = {"file_id": file["id"]} if file else {"base64": base64.b64encode(content).decode()}
    return client.post("/api/v1/similar", json={"image": image, **options})


def found(answer):
    assert answer.status_code == 200, answer.json
    return [row.get("id") or row["file_id"] for row in answer.json["data"]]


def test_a_copy_and_a_smaller_worse_one_are_duplicates_and_another_picture_is_none(client, upload):
    original = upload(picture(1))
    copy = upload(encoded(picture(1)))
    small = upload(picture(1).resize((200, 200)), quality=40)
    upload(picture(2))
    rows = duplicates(client, original).json["data"]
    assert {row["id"] for row in rows} == {copy["id"], small["id"]}
    assert rows[0]["id"] == copy["id"]
    assert rows[0]["distance"] == 0
    assert rows[1]["distance"] <= 64


def test_a_small_crop_is_a_duplicate(client, upload):
    original = upload(picture(3))
    crop = upload(picture(3).crop((8, 4, 396, 390)))
    assert crop["id"] in found(duplicates(client, original))
    assert original["id"] in found(duplicates(client, crop))


def test_the_same_shapes_in_other_colours_are_no_duplicate(client, upload):
    original = upload(picture(4))
    red, green, blue = picture(4).split()
    recoloured = upload(Image.merge("RGB", (blue, red, green)))
    assert recoloured["id"] not in found(duplicates(client, original))


def test_a_threshold_of_0_leaves_what_has_the_same_hash(client, upload):
    original = upload(picture(5))
    upload(picture(5).crop((10, 10, 400, 400)))
    copy = upload(picture(5))
    assert found(duplicates(client, original, threshold=0)) == [copy["id"]]


def test_pages_of_duplicates_show_each_once_in_their_order(client, upload):
    original = upload(picture(6))
    copies = {upload(picture(6), name=f"{place}.jpg")["id"] for place in range(5)}
    seen, cursor = [], None
    while True:
        page = duplicates(client, original, limit=2, **({"cursor": cursor} if cursor else {})).json
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen == sorted(copies)


def test_a_cursor_of_another_picture_is_refused(client, upload):
    original, other = upload(picture(7)), upload(picture(8))
    assert duplicates(client, original, cursor=other["id"]).status_code == 400


def test_similar_images_come_by_their_likeness_and_say_why(client, upload):
    original = upload(picture(9))
    near = upload(picture(9), quality=30)
    upload(picture(10))
    rows = search(client, original).json["data"]
    assert rows[0]["file_id"] == near["id"]
    assert {"near-duplicate", "same colours", "same shape"} <= set(rows[0]["reasons"])
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


def test_an_image_that_is_only_sent_for_a_search_is_measured_and_does_not_become_a_file(
    client, upload, indexer
):
    known = upload(picture(11))
    content = encoded(picture(11), quality=50)
    before = client.get("/api/v1/files").json["data"]
    indexer_thread = measuring_soon(indexer, content)
    rows = search(client, content=content).json["data"]
    indexer_thread.join()
    assert rows[0]["file_id"] == known["id"]
    assert client.get("/api/v1/files").json["data"] == before


def measuring_soon(indexer, content):
    """What a worker does when the bell rings: nothing listens to it here."""
    import hashlib  # noqa: PLC0415

    digest, done = hashlib.sha256(content).hexdigest(), threading.Event()

    def work():
        while not done.wait(0.05):
            with indexer._desk.database.statement() as connection:
                there = connection.exec_driver_sql(
                    "SELECT 1 FROM blobs WHERE digest = %s", (digest,)
                ).one_or_none()
            if there and indexer._desk.blobs._has(digest):
                indexer.measure(digest)
                return

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_metadata_narrows_a_search_to_what_was_analysed_with_it(client, upload, indexer):
    original = upload(picture(12))
    for sku in ("A-1", "B-2"):
        content = encoded(picture(12), quality=30 if sku == "A-1" else 50)
        body = {"file": (io.BytesIO(content), "p.jpg"), "question": "?!", "metadata": f'{{"sku": "{sku}"}}'}
        made = client.post("/api/v1/analyses", data=body).json
        indexer.measure(made["images"][0]["sha256"])
    rows = search(client, original, metadata={"sku": "B-2"}).json["data"]
    assert [row["metadata"] for row in rows] == [{"sku": "B-2"}]


def test_other_accounts_images_are_never_found_nor_asked_about(client, upload, app, new_key, indexer):
    mine = upload(picture(13))
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    assert duplicates(other, mine).status_code == 404
    assert search(other, mine).status_code == 404
    content = encoded(picture(13))
    theirs = other.post("/api/v1/files", data={"file": (io.BytesIO(content), "p.jpg")}).json
    assert found(duplicates(other, theirs)) == []
    assert found(search(other, theirs)) == []
    assert found(search(client, mine)) == []


def test_an_image_that_cannot_be_decoded_is_refused_with_its_reason_and_not_measured_again(client, upload):
    broken = upload(encoded(picture(14))[:400], measured=True)
    for answer in (duplicates(client, broken), search(client, broken)):
        assert answer.status_code == 400
        assert answer.json["error_code"] == "image_undecodable"


def test_where_no_worker_measures_in_time_it_is_503_and_says_when_to_come_back(
    settings, desk, client, upload
):
    file = upload(picture(15), measured=False)
    hasty = dataclasses.replace(settings, request_timeout=0.2)
    impatient = create_app(hasty, dataclasses.replace(desk, settings=hasty)).test_client()
    impatient.environ_base.update(client.environ_base)
    answer = duplicates(impatient, file)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_the_input_of_a_batch_is_no_image_to_compare(client):
    sent = {"file": (io.BytesIO(b'{"custom_id": "1", "image": "x"}\n'), "in.jsonl"), "purpose": "batch"}
    file = client.post("/api/v1/files", data=sent).json
    assert duplicates(client, file).status_code == 400


def test_features_go_with_the_bytes_that_they_are_of(desk, client, upload):
    file = upload(picture(16))
    client.delete(f"/api/v1/files/{file['id']}")
    with desk.database.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM blobs WHERE digest = %s", (file["sha256"],))
    assert not indexing.is_known(desk, file["sha256"])


def test_features_of_bytes_that_are_gone_are_left_out_and_the_rest_is_kept(desk, client, upload):
    file = upload(picture(17), measured=False)
    measured = features.measure(picture(17))
    indexing.keep(desk, {"f" * 64: measured, file["sha256"]: measured})
    assert indexing.is_known(desk, file["sha256"])
    assert not indexing.is_known(desk, "f" * 64)


def sql(desk, statement, digest):
    with desk.database.transaction() as session:
        session.connection().exec_driver_sql(statement, (digest,))


def test_what_an_older_worker_measured_meanwhile_is_a_duplicate_once_the_index_is_rebuilt(
    desk, client, upload
):
    original, copy = upload(picture(27)), upload(picture(27), quality=40)
    sql(desk, "DELETE FROM image_frames WHERE digest = %s", copy["sha256"])
    assert found(duplicates(client, original)) == []
    indexing.complete(desk)
    assert found(duplicates(client, original)) == [copy["id"]]


def test_features_of_another_version_are_measured_anew_and_not_compared_before(desk, client, upload, indexer):
    original, other = upload(picture(28)), upload(picture(28), quality=40)
    sql(desk, "UPDATE image_features SET version = 0 WHERE digest = %s", other["sha256"])
    assert found(duplicates(client, original)) == []
    sql(desk, "UPDATE image_frames SET hash = ~hash WHERE digest = %s", other["sha256"])
    indexer.measure(other["sha256"])
    assert found(duplicates(client, original)) == [other["id"]]


def test_what_turned_out_not_to_be_measurable_is_no_duplicate(desk, client, upload):
    original, other = upload(picture(29)), upload(picture(29), quality=40)
    sql(desk, "UPDATE image_features SET version = 0 WHERE digest = %s", other["sha256"])
    indexing.keep_problem(desk, other["sha256"], ImageUndecodable("It is broken."))
    assert found(duplicates(client, original)) == []


def test_an_account_with_many_images_is_searched_by_the_index_and_finds_the_same(monkeypatch, client, upload):
    original = upload(picture(18))
    others = [upload(picture(seed)) for seed in range(19, 25)]
    exact = found(search(client, original))
    monkeypatch.setattr("core.services.ranking.SMALL_CATALOGUE", 0)
    assert set(found(search(client, original))) == set(exact) == {other["id"] for other in others}


def test_metadata_narrows_a_search_of_many_images_too(monkeypatch, client, upload, indexer):
    original = upload(picture(40))
    for seed in range(41, 45):
        upload(picture(seed))
    spring = upload(picture(46))
    body = {"images": [{"file_id": spring["id"]}], "question": "?", "metadata": {"season": "spring"}}
    assert client.post("/api/v1/analyses", json=body).status_code == 202
    monkeypatch.setattr("core.services.ranking.SMALL_CATALOGUE", 0)
    assert found(search(client, original, metadata={"season": "spring"})) == [spring["id"]]
    assert found(search(client, original, metadata={"season": "autumn"})) == []


def test_many_images_take_as_many_statements_as_few(client, upload, statements):
    def taken():
        with statements() as seen:
            assert len(found(duplicates(client, original))) == len(found(search(client, original)))
        return len(seen)

    original = upload(picture(50))
    upload(picture(50), quality=40)
    few = taken()
    for quality in (20, 30, 50, 60, 80):
        upload(picture(50), quality=quality)
    assert taken() == few


def test_a_cursor_that_is_another_accounts_or_none_at_all_is_refused(client, upload, app, new_key, indexer):
    original = upload(picture(51))
    stranger = app.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    sent = {"file": (io.BytesIO(encoded(picture(51))), "p.jpg")}
    theirs = stranger.post("/api/v1/files", data=sent).json
    for cursor in (theirs["id"], "file_01m7zs3sc33pzep7ynbk9cvf3z", "nonsense"):
        answer = duplicates(client, original, cursor=cursor)
        assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"threshold": -1}, {"threshold": 257}], ids=str
)
def test_duplicates_of_the_wrong_number_are_400(client, upload, query):
    original = upload(picture(52), measured=False)
    assert duplicates(client, original, **query).status_code == 400


def test_a_file_whose_time_is_up_is_not_found(desk, client, upload):
    original, late = upload(picture(26)), upload(picture(26), quality=40)
    with desk.database.transaction() as session:
        session.connection().exec_driver_sql(
            "UPDATE files SET expires_at = now() - interval '1 s' WHERE id = %s", (late["id"],)
        )
    assert found(duplicates(client, original)) == []
    assert found(search(client, original)) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": {}},
        {"image": {"file_id": "x", "base64": "aGk="}},
        {"image": {"file_id": "file_nope"}, "limit": 0},
        {"image": {"file_id": "file_nope"}, "limit": 101},
        {"image": {"base64": "%%%"}},
        {"image": {"base64": ""}},
        {"image": {"base64": "aGVsbG8="}},
        {"image": {"file_id": "file_nope"}, "metadata": [1]},
    ],
)
def test_a_search_of_the_wrong_shape_is_400(client, body):
    assert client.post("/api/v1/similar", json=body).status_code == 400


def test_a_file_may_be_named_by_its_id_alone_as_in_batches(client, upload):
    mine = upload(picture(31))
    by_id = client.post("/api/v1/similar", json={"image": mine["id"]})
    assert found(by_id) == found(search(client, mine))
    assert client.post("/api/v1/similar", json={"image": "file_nobody"}).status_code == 404
    assert client.post("/api/v1/similar", json={"image": ""}).status_code == 400


def test_two_files_where_one_is_taken_are_told_as_such(client):
    data = {"file": [(io.BytesIO(encoded(picture(seed))), "a.jpg") for seed in (1, 2)]}
    answer = client.post("/api/v1/similar", data=data)
    assert (answer.status_code, answer.json["error"]) == (400, "file: Send one file, not 2.")

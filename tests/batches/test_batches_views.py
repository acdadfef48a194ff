"""Several views of one product: rows, files and members of archives with one SKU become one analysis."""

import csv
import io
import json

import pytest
from batch_inputs import results, stored, submit, submit_lines, told, upload
from sqlalchemy import select
from test_batches_archives import zipped

from core.errors import InvalidRequest
from core.models import Analysis
from core.services.items import MOST_ITEMS, Items

ASKED = {"defaults": {"question": "Is it chipped?"}}


def rows_of(*pairs, **more):
    return [{"sku": sku, "view": view, **more} for sku, view in pairs]


def shown(row):
    """The SKU of an item, and what its images show, in their order."""
    return row["sku"], [image["view"] for image in row["images"]]


def test_rows_of_one_sku_become_one_analysis_in_the_order_of_the_rows(client, file_id):
    pairs = (("A", "front"), ("B", "top"), ("A", "back"), ("A", None), ("C", None))
    rows = results(client, submit(client, inputs=rows_of(*pairs, image=file_id), group_by="sku", **ASKED))
    assert [(row["custom_id"], *shown(row)) for row in rows] == [
        ("A", "A", ["front", "back", None]),
        ("B", "B", ["top"]),
        ("C", "C", [None]),
    ]


def test_without_grouping_a_sku_is_only_kept_and_a_row_may_name_the_views_of_its_images(client, file_id):
    images = [{"file_id": file_id, "view": "front"}, {"file_id": file_id, "view": "label"}]
    inputs = [{"sku": "A", "images": images}, {"sku": "A", "image": file_id, "view": "box"}]
    answer = submit(client, inputs=inputs, **ASKED)
    assert [shown(row) for row in results(client, answer)] == [("A", ["front", "label"]), ("A", ["box"])]


def test_a_csv_with_a_line_for_each_photo_becomes_an_item_for_each_sku(client, file_id):
    lines = (
        f"sku,view,image,question\nA, front,{file_id},Chipped?\nA ,back,{file_id},\nB,front,{file_id},?!\n"
    )
    rows = results(client, submit_lines(client, lines.encode(), group_by="sku"))
    assert [(*shown(row), row["question"]) for row in rows] == [
        ("A", ["front", "back"], "Chipped?"),
        ("B", ["front"], "?!"),
    ]


def test_what_cannot_be_joined_is_told_in_its_own_line_and_nothing_is_stored(client, key, desk, file_id):
    inputs = [
        {"sku": "A", "view": "front", "image": file_id, "question": "One?"},
        {"sku": "A", "view": "Front", "image": file_id},
        {"sku": "A", "view": "back", "image": file_id, "question": "Two?", "preset": "product"},
        {"view": "front", "image": file_id, "question": "?!"},
        {"sku": " ", "image": file_id, "question": "?!"},
        {"sku": "B", "image": "file_" + "0" * 26, "question": "?!"},
        {"sku": "B", "view": "two\nlines", "image": file_id},
        {"sku": "B", "view": "all", "images": [file_id, file_id]},
        {"sku": "B", "question": "?!"},
        {"sku": "C", "image": file_id, "custom_id": "B", "question": "?!"},
        {"sku": "D" * 129, "image": file_id, "question": "?!"},
        {"sku": "E", "image": file_id, "preset": "nothing"},
        {"sku": "E", "image": 5},
        "nothing",
    ]
    answer = submit(client, inputs=inputs, group_by="sku")
    assert {found[:3] for found in told(answer)} == {
        (2, "A", "view"),
        (3, "A", "question"),
        (4, None, "sku"),
        (5, None, "sku"),
        (6, "B", "images"),
        (7, "B", "view"),
        (8, "B", "images"),
        (9, "B", "images"),
        (10, "B", "custom_id"),
        (11, "item-11", "sku"),
        (12, "E", "preset"),
        (13, "E", "images"),
        (14, None, "line"),
    }
    assert stored(desk, key.key.account_id) == (0, 0)


def test_a_sku_with_more_images_than_an_analysis_takes_is_told_at_the_lines_beyond(client, desk, file_id):
    most = desk.settings.max_images
    inputs = rows_of(*(("A", str(n)) for n in range(most + 2)), image=file_id)
    found = told(submit(client, inputs=inputs, group_by="sku", **ASKED))
    assert [each[:3] for each in found] == [(most + 1, "A", "images"), (most + 2, "A", "images")]


@pytest.fixture
def archive(client, photo):
    """Submit an archive of photos of these names."""

    def send(*names, **order):
        content = zipped((name, photo((9 * n, 80, 80))) for n, name in enumerate(names))
        file = upload(client, content, "photos.zip")
        return submit(client, input_file_id=file, **ASKED, **order)

    return send


def test_a_folder_of_an_archive_is_a_sku_and_its_main_view_comes_first(client, archive):
    answer = archive(
        *("shop/A/back.jpg", "shop/A/front.jpg", "shop/A/view 10.jpg", "shop/A/view 2.jpg"),
        *("shop/B/B_2.jpg", "shop/B/B.jpg", "shop/B/B-1.jpg"),
        group_by="folder",
    )
    assert [shown(row) for row in results(client, answer)] == [
        ("A", ["front", "back", "view 2", "view 10"]),
        ("B", [None, "1", "2"]),
    ]


def test_names_of_an_archive_that_begin_alike_are_a_sku(client, archive):
    names = ("A-1_back.jpg", "A-1.jpg", "more/A-1_label.jpg", "A_2_front.jpg", "A_2_main.jpg")
    answer = archive(*names, group_by="name")
    assert [shown(row) for row in results(client, answer)] == [
        ("A-1", [None, "back", "label"]),
        ("A_2", ["main", "front"]),
    ]


def test_of_an_archive_too_every_file_that_cannot_be_joined_is_told(archive):
    found = told(archive("A/front.jpg", "A/front.png", "loose.jpg", group_by="folder"))
    assert [each[:3] for each in found] == [(2, "A", "view"), (3, "loose.jpg", "image")]


@pytest.mark.parametrize("by", ["folder", "name", "colour"])
def test_rows_are_not_grouped_by_paths_that_they_do_not_have(client, file_id, by):
    answer = submit(client, inputs=rows_of(("A", "b"), image=file_id), group_by=by, **ASKED)
    assert (answer.status_code, answer.json["details"]["field"]) == (400, "group_by")


def test_an_archive_is_not_grouped_by_a_column(archive):
    answer = archive("A.jpg", group_by="sku")
    assert (answer.status_code, answer.json["details"]["field"]) == (400, "group_by")


def test_files_of_a_form_are_joined_by_their_names(client, photo):
    images = [(io.BytesIO(photo(color)), f"A_{color}.jpg") for color in ("red", "blue")]
    data = {"images": images, "question": "?!", "group_by": "name"}
    assert [shown(row) for row in results(client, client.post("/api/v1/batches", data=data))] == [
        ("A", ["red", "blue"])
    ]


def test_results_are_found_by_their_sku_also_among_all_analyses(client, file_id):
    inputs = rows_of(("A", "front"), ("B", "front"), ("A", "back"), image=file_id)
    answer = submit(client, inputs=inputs, **ASKED)
    url = answer.headers["Location"] + "/results?sku=A"
    assert [row["position"] for row in client.get(url).json["data"]] == [0, 2]
    lines = client.get(url + "&format=ndjson").text.splitlines()
    assert [json.loads(line)["sku"] for line in lines] == ["A", "A"]
    rows = csv.DictReader(io.StringIO(client.get(url + "&format=csv").text))
    assert [(row["sku"], row["views"]) for row in rows] == [("A", "front"), ("A", "back")]
    found = client.get("/api/v1/analyses?sku=A").json["data"]
    assert sorted(shown(row)[1] for row in found) == [["back"], ["front"]]


def test_what_a_sku_is_looked_for_by_is_an_index(desk, key):
    query = select(Analysis).where(Analysis.account_id == key.key.account_id, Analysis.sku == "A")
    compiled = query.compile(desk.database.engine, compile_kwargs={"literal_binds": True})
    with desk.database.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {compiled}"))
    assert "ix_analyses_sku" in plan


def test_fifty_thousand_skus_of_two_views_are_joined_with_one_look_at_their_files(
    desk, key, file_id, statements
):
    rows = ({"sku": f"s{n // 2}", "view": str(n % 2), "image": file_id} for n in range(2 * MOST_ITEMS))
    reader = Items(desk, key.key.account_id, {"question": "?!"}, None)
    with statements() as seen:
        read = reader.read(enumerate(rows, 1), grouped=True)
    assert (len(read), {len(item.images) for item in read}) == (MOST_ITEMS, {2})
    assert len(seen) <= 3


def test_more_skus_than_a_batch_takes_are_refused_before_all_of_them_are_read(desk, key):
    def rows():
        for n in range(MOST_ITEMS + 1):
            yield n + 1, {"sku": f"s{n}", "image": "file_1"}
        raise AssertionError("it read on")

    with pytest.raises(InvalidRequest, match="at most"):
        Items(desk, key.key.account_id, {"question": "?!"}, None).read(rows(), grouped=True)

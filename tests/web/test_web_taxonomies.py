"""The shop's own categories."""

import io

import pytest

PATH = "/api/v1/taxonomies"
NODES = [{"id": "1", "label": "Clothes", "parent": None}, {"id": "1-1", "label": "Shirts", "parent": "1"}]
CSV = "id,label,parent\n1,Clothes,\n1-1,Shirts,1\n"


def upload(client, text, name="shop"):
    return client.post(PATH, data={"file": (io.BytesIO(text.encode()), "t.csv"), "name": name})


def test_a_tree_comes_as_json_or_csv_and_is_replaced_as_a_whole(client):
    assert client.post(PATH, json={"name": "shop", "nodes": NODES}).json == {
        "name": "shop",
        "object": "taxonomy",
        "size": 2,
    }
    assert client.get(f"{PATH}/shop").json["nodes"] == NODES
    assert upload(client, CSV + "2,책,\n").json["size"] == 3
    assert [row["size"] for row in client.get(PATH).json["data"]] == [3]
    assert client.delete(f"{PATH}/shop").json["deleted"] is True
    assert client.get(f"{PATH}/shop").status_code == 404
    assert client.delete(f"{PATH}/%00").status_code == 404


@pytest.mark.parametrize(
    "text", ["", "id,label\n1,a\n", CSV + "9,x,8\n", CSV + "1,again,\n", "id,label,parent\n"]
)
def test_what_is_no_tree_is_refused(client, text):
    answer = upload(client, text)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert client.get(PATH).json["data"] == []


def told(answer):
    assert answer.status_code == 400
    return [(problem["line"], problem["field"]) for problem in answer.json["details"]["errors"]]


def test_every_bad_line_of_a_tree_is_told_whatever_is_wrong_with_it(client):
    bad = ',no id,\n3,,\n4,too,many,columns\n\n1,again,\n5,parent is on no line that counts,4\n6,"open,\n'
    assert told(upload(client, CSV + bad)) == [
        (4, "id"), (5, "label"), (6, "line"), (8, "id"), (10, "line"),
    ]  # fmt: skip


def test_a_tree_without_categories_blames_no_line(client):
    answer = upload(client, "id,label,parent\n")
    assert "1 to 20,000 categories" in answer.json["error"]
    assert "errors" not in answer.json["details"]


def test_the_columns_that_a_file_should_have_are_told_with_those_that_it_has(client):
    error = upload(client, "id,label\n1,a\n").json["error"]
    assert error == "The first line must name the columns id, label and parent; it names id and label."


def test_a_node_that_is_wrong_is_told_by_its_place(client):
    nodes = [*NODES, {"id": "2", "label": "Cups", "parent": "9"}]
    assert told(client.post(PATH, json={"name": "shop", "nodes": nodes})) == [(3, "parent")]


def test_items_that_name_no_taxonomy_of_the_account_are_told(client, photo):
    data = {"file": (io.BytesIO(photo()), "p.jpg"), "purpose": "vision"}
    file_id = client.post("/api/v1/files", data=data).json["id"]
    item = {"image": file_id, "preset": "classify", "preset_options": {"taxonomy": "shop"}}
    refused = client.post("/api/v1/batches", json={"inputs": [item]})
    assert refused.json["details"]["errors"][0]["field"] == "preset_options.taxonomy"
    client.post(PATH, json={"name": "shop", "nodes": NODES})
    assert client.post("/api/v1/batches", json={"inputs": [item]}).status_code == 202


def test_taxonomies_are_nobody_elses(client, app, new_key):
    client.post(PATH, json={"name": "shop", "nodes": NODES})
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    assert other.get(PATH).json["data"] == []
    assert other.get(f"{PATH}/shop").status_code == 404

"""The brands that an account knows."""

import io

import pytest

PATH = "/api/v1/brands"


def imported(client, text):
    content = text if isinstance(text, bytes) else text.encode()
    return client.post(f"{PATH}/import", data={"file": (io.BytesIO(content), "brands.csv")})


def listed(client, **query):
    return client.get(PATH, query_string={"limit": 100, **query}).json


def test_a_brand_is_added_changed_by_its_name_and_deleted(client):
    first = client.post(PATH, json={"name": "Nike", "aliases": ["나이키"]})
    again = client.post(PATH, json={"name": "NIKE, Inc.", "aliases": ["ナイキ", "ナイキ"]})
    assert (first.status_code, again.status_code, again.json["id"]) == (201, 200, first.json["id"])
    assert listed(client)["data"] == [
        {"id": first.json["id"], "object": "brand", "name": "NIKE, Inc.", "aliases": ["ナイキ"]}
    ]
    assert client.delete(f"{PATH}/{first.json['id']}").json["deleted"] is True
    assert client.delete(f"{PATH}/{first.json['id']}").status_code == 404


def test_six_thousand_brands_come_as_csv_and_can_be_read_page_by_page(client):
    lines = "\n".join(f"Brand Number {n},번호 {n};ナンバー{n}" for n in range(6_000))
    assert imported(client, f"\ufeffname,aliases\r\n{lines}").json["imported"] == 6_000
    page, seen = listed(client), []
    while True:
        seen += page["data"]
        if not page["has_more"] or len(seen) >= 300:
            break
        page = listed(client, cursor=page["next_cursor"])
    assert len({row["id"] for row in seen}) == 300


def test_a_bad_file_stores_nothing_and_tells_every_bad_line(client):
    answer = imported(client, "name,aliases\nGood,\n,x\n™,\n" + "x" * 201 + ",\n")
    assert answer.status_code == 400
    assert [problem["line"] for problem in answer.json["details"]["errors"]] == [3, 4, 5]
    assert listed(client)["data"] == []


def test_every_bad_line_is_told_whatever_is_wrong_with_it(client):
    answer = imported(client, 'name,aliases\n,x\n \nGood,a;™\nNike,나이키\nNIKE Inc.,耐克\n"Open,\n')
    found = [(problem["line"], problem["field"]) for problem in answer.json["details"]["errors"]]
    assert found == [(2, "name"), (3, "line"), (4, "aliases"), (6, "name"), (7, "line")]
    assert "brand of line 5" in answer.json["details"]["errors"][3]["error"]
    assert listed(client)["data"] == []


def test_the_columns_that_a_file_should_have_are_told(client):
    assert imported(client, "brand\nNike").json["error"] == (
        "The first line must name the column name, and may name aliases; it names brand."
    )


NO_CSV = [
    "",
    "brand\nNike",
    "name,name\na,b",
    "name,aliases\nNike",
    'name\n"Nike',
    b"name\n\xff",
    "name\nN\0",
]
NO_BRAND = [
    {},
    {"name": " "},
    {"name": "™"},
    {"name": "(주)"},
    {"name": "株式会社"},
    {"name": "a\nb\u202e"},
    {"name": "A", "aliases": [""]},
    {"name": "A", "aliases": ["x"] * 51},
]


@pytest.mark.parametrize("text", NO_CSV)
def test_what_is_no_such_csv_is_refused(client, text):
    answer = imported(client, text)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", NO_BRAND)
def test_what_is_no_brand_is_refused(client, body):
    assert client.post(PATH, json=body).status_code == 400


def test_brands_are_nobody_elses(client, app, new_key):
    made = client.post(PATH, json={"name": "Nike"}).json
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    assert listed(other)["data"] == []
    assert other.delete(f"{PATH}/{made['id']}").status_code == 404

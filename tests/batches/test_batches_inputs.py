"""What makes a batch: all of it or nothing, and every problem told."""

import csv
import io
import json

import pytest
from batch_inputs import line, stored, submit, upload
from sqlalchemy import func, update

from core.models import Analysis
from core.services import items


def test_items_take_defaults_and_say_otherwise_where_they_want(client, file_id):
    defaults = {"question": "Which colour?", "detail": "low", "max_tokens": 50, "metadata": {"a": 1}}
    inputs = [{"custom_id": "one", "image": file_id}, {"images": [{"file_id": file_id}], "question": "Why?"}]
    answer = submit(client, inputs=inputs, defaults=defaults, completion_window="90m", priority="high")
    assert answer.status_code == 202
    assert answer.json["counts"] == {
        "total": 2, "completed": 0, "failed": 0, "cancelled": 0, "expired": 0, "pending": 2
    }  # fmt: skip
    assert (answer.json["priority"], answer.json["retry_after"]) == ("high", 5)
    rows = client.get(answer.headers["Location"] + "/results").json["data"]
    assert [(row["custom_id"], row["question"]) for row in rows] == [
        ("one", "Which colour?"),
        ("item-2", "Why?"),
    ]
    assert rows[0]["metadata"] == {"a": 1}


def test_a_table_of_results_tells_which_answers_are_about_another_picture(client, desk, file_id):
    made = submit(client, inputs=[{"image": file_id, "question": "?"}] * 2)
    answered = {"state": "completed", "finished_at": func.now(), "cached_from": "an_1"}
    with desk.database.transaction() as session:
        items = update(Analysis).where(Analysis.batch_id == made.json["id"])
        session.execute(items.values(answered))
        session.execute(items.where(Analysis.position == 1).values(reused_distance=7))
    table = client.get(made.headers["Location"] + "/results?format=csv").text
    rows = [
        (row["cached_from"], row["reused_from"], row["reused_distance"])
        for row in csv.DictReader(io.StringIO(table))
    ]
    assert rows == [("an_1", "", ""), ("an_1", "an_1", "7")]


def test_every_problem_is_told_with_its_line_and_nothing_is_stored(client, key, desk, file_id):
    inputs = [
        {"custom_id": "a", "image": file_id, "question": "?!"},
        {"custom_id": "a", "image": file_id, "question": "?!"},
        {"custom_id": "b", "question": "?!"},
        {"custom_id": "c", "image": file_id, "question": "  "},
        {"custom_id": "d", "image": file_id, "question": "?!", "model": "gpt-17", "max_tokens": 0},
        {"custom_id": "e", "image": file_id, "question": "?!", "metadata": {"x": "\0"}},
        {"custom_id": "f", "image": file_id},
        {"custom_id": "g", "image": {"file_id": file_id, "depth": 3}, "question": "?!"},
        {"custom_id": "", "image": file_id, "question": "?!", "colour": 1},
        "not an object",
    ]
    answer = submit(client, inputs=inputs)
    assert answer.status_code == 400
    problems = {(found["line"], found["field"]) for found in answer.json["details"]["errors"]}
    assert problems == {
        (2, "custom_id"),
        (3, "images"),
        (4, "question"),
        (5, "model"),
        (5, "max_tokens"),
        (6, "metadata"),
        (7, "question"),
        (8, "images"),
        (9, "custom_id"),
        (9, "colour"),
        (10, "line"),
    }
    assert answer.json["details"]["error_count"] == len(problems)
    assert stored(desk, key.key.account_id) == (0, 0)


BAD = {
    "no items": {"inputs": []},
    "nothing": {},
    "both sources": {"inputs": [{}], "input_file_id": "file_x"},
    "a window that is none": {"inputs": [{}], "completion_window": "soon"},
    "a window too long": {"inputs": [{}], "completion_window": "31d"},
    "an unknown priority": {"inputs": [{}], "priority": "now"},
    "a pilot of none": {"inputs": [{}], "pilot": 0},
    "unknown defaults": {"inputs": [{}], "defaults": {"colour": 1}},
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_batch_is_refused_and_leaves_nothing(client, key, desk, case):
    answer = submit(client, **BAD[case])
    assert answer.status_code == 400
    assert answer.json["error"]
    assert stored(desk, key.key.account_id) == (0, 0)


def test_fifty_thousand_items_are_taken_and_one_more_is_not(client, key, desk, file_id):
    inputs = [{"image": file_id, "question": "?!"}] * items.MOST_ITEMS
    assert submit(client, inputs=[*inputs, inputs[0]]).status_code == 400
    assert stored(desk, key.key.account_id) == (0, 0)
    answer = submit(client, inputs=inputs)
    assert answer.status_code == 202
    assert stored(desk, key.key.account_id) == (1, items.MOST_ITEMS)
    assert client.post(answer.headers["Location"] + "/pause").json["status"] == "paused"


def test_a_file_takes_as_many_lines_as_a_body_takes_items(client, key, desk, file_id):
    lines = (line(file_id) + b"\n") * items.MOST_ITEMS
    answer = submit(client, input_file_id=upload(client, lines + line(file_id)))
    assert (answer.status_code, answer.json["details"]["limit"]) == (400, items.MOST_ITEMS)
    assert stored(desk, key.key.account_id) == (0, 0)


def test_of_very_many_problems_the_first_thousand_are_told_and_all_are_counted(client, key, desk, file_id):
    answer = submit(
        client, inputs=[{"image": file_id, "question": "?!"}, *({"image": 1} for _ in range(2_000))]
    )
    assert answer.status_code == 400
    assert answer.json["details"]["error_count"] == 4_000  # neither an image nor a question
    assert [found["line"] for found in answer.json["details"]["errors"]] == [
        number for number in range(2, 502) for _ in range(2)
    ]
    assert stored(desk, key.key.account_id) == (0, 0)


BAD_BODIES = {
    "not JSON": b'{"inputs": [',
    "not UTF-8": b'{"inputs": [{"question": "\xff\xfe"}]}',
    "not an object": b"[]",
    "no list of items": b'{"inputs": {"image": "x"}}',
    "a number too long": b'{"inputs": [' + b"9" * 5_000 + b"]}",
    "nested too deeply": b'{"inputs": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "not a number": b'{"inputs": [{"image": "file_x", "question": "?!", "temperature": NaN}]}',
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_body_that_cannot_be_read_is_refused_and_leaves_nothing(client, key, desk, case):
    answer = client.post("/api/v1/batches", data=BAD_BODIES[case], content_type="application/json")
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert stored(desk, key.key.account_id) == (0, 0)


def test_a_body_may_begin_with_a_mark(client, file_id):
    body = b"\xef\xbb\xbf" + json.dumps({"inputs": [{"image": file_id, "question": "?!"}]}).encode()
    answer = client.post("/api/v1/batches", data=body, content_type="application/json")
    assert answer.status_code == 202, answer.text


def test_json_lines_with_a_mark_blank_lines_and_windows_line_ends_are_read(client, file_id):
    content = b"\xef\xbb\xbf" + line(file_id, custom_id="신발") + b"\r\n\r\n" + line(file_id) + b"\r\n"
    answer = submit(client, input_file_id=upload(client, content))
    assert answer.status_code == 202, answer.text
    rows = client.get(answer.headers["Location"] + "/results").json["data"]
    assert [row["custom_id"] for row in rows] == ["신발", "item-3"]


def test_good_and_bad_lines_of_a_file_are_told_apart_by_their_numbers(client, key, desk, file_id):
    lines = [
        line(file_id),
        b'{"image": ',
        line(file_id, custom_id="x"),
        b"[1]",
        line(file_id, context="x" * 70_000),  # beyond what an upload is sniffed by
        b'{"image": "\xff\xfe"}',
        line(file_id, custom_id="x"),
        b'{"image": "' + b"a" * 2_000_000 + b'"}',
    ]
    answer = submit(client, input_file_id=upload(client, b"\n".join(lines)))
    assert answer.status_code == 400
    assert {found["line"] for found in answer.json["details"]["errors"]} == {2, 4, 5, 6, 7, 8}
    assert stored(desk, key.key.account_id) == (0, 0)


def test_questions_of_a_form_are_one_for_all_or_one_each(client, photo):
    def form(count, questions):
        images = [(io.BytesIO(photo("red")), f"{n}.jpg") for n in range(count)]
        return client.post("/api/v1/batches", data={"images": images, "questions": questions})

    assert form(3, ["one?"]).json["counts"]["total"] == 3
    each = form(2, ["one?", "two?"])
    rows = client.get(each.headers["Location"] + "/results").json["data"]
    assert [row["question"] for row in rows] == ["one?", "two?"]
    assert form(3, ["one?", "two?"]).status_code == 400


@pytest.mark.parametrize(
    ("questions", "asked"),
    [
        ('["one?", " two? "]', ["one?", "two?"]),
        ('["for both?"]', ["for both?", "for both?"]),
        ("[sic] one?", ["[sic] one?", "[sic] one?"]),
        ("17", ["17", "17"]),
    ],
)
def test_questions_of_a_form_may_be_a_json_list(client, photo, questions, asked):
    images = [(io.BytesIO(photo("red")), f"{n}.jpg") for n in range(2)]
    made = client.post("/api/v1/batches", data={"images": images, "questions": questions})
    rows = client.get(made.headers["Location"] + "/results").json["data"]
    assert [row["question"] for row in rows] == asked


@pytest.mark.parametrize("questions", ["[]", "[1]", "[null]", '[["?!"]]', '["?!", ""]', '["1?", "2?", "3?"]'])
def test_a_json_list_that_is_none_of_questions_is_refused(client, photo, questions):
    images = [(io.BytesIO(photo("red")), f"{n}.jpg") for n in range(2)]
    answer = client.post("/api/v1/batches", data={"images": images, "questions": questions})
    assert (answer.status_code, "questions" in str(answer.json["details"])) == (400, True)


def test_a_form_has_room_for_a_hundred_files_with_a_question_each(client, photo):
    data = {
        "images": [(io.BytesIO(photo("red")), f"{n}.jpg") for n in range(100)],
        "questions": [f"{n}?" for n in range(100)],
        "context": "?",
        "priority": "low",
    }
    assert client.post("/api/v1/batches", data=data).status_code == 202


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_lines_of_results_keep_to_limit_and_cursor(client, file_id, form):
    made = submit(client, inputs=[{"image": file_id, "question": f"{n}?"} for n in range(5)])
    results = made.headers["Location"] + f"/results?format={form}"

    def ids(query):
        text = client.get(results + query).text
        lines = csv.DictReader(io.StringIO(text)) if form == "csv" else map(json.loads, text.splitlines())
        return [line["custom_id"] for line in lines]

    assert ids("") == [f"item-{n}" for n in range(1, 6)]
    assert ids("&limit=2") == ["item-1", "item-2"]
    assert ids("&cursor=1&limit=2") == ["item-3", "item-4"]
    assert ids("&cursor=3") == ["item-5"]


@pytest.mark.parametrize(("path", "field"), [("batch-analyze", "images"), ("image/analyze-batch", "files")])
def test_the_short_forms_make_batches_too(client, photo, path, field):
    images = [(io.BytesIO(photo("red")), f"{n}.jpg") for n in range(3)]
    answer = client.post(f"/api/v1/{path}", data={field: images, "questions": ["a?", "b?", "c?"]})
    assert (answer.status_code, answer.json["counts"]["total"]) == (202, 3)
    too_many = [(io.BytesIO(b"x"), "x.jpg") for _ in range(101)]
    assert client.post(f"/api/v1/{path}", data={field: too_many, "question": "?!"}).status_code == 400


def test_a_place_that_no_stream_gave_is_refused(client, file_id):
    batch = submit(client, inputs=[{"image": file_id, "question": "?!"}])
    answer = client.get(batch.headers["Location"] + "/stream", headers={"Last-Event-ID": "x"})
    assert answer.status_code == 400


def test_a_place_in_the_results_that_no_batch_has_is_a_400(client, file_id):
    made = submit(client, inputs=[{"image": file_id, "question": "?!"}])
    answer = client.get(made.headers["Location"] + "/results?cursor=9437236758")
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")

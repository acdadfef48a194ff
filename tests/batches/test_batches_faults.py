"""What is wrong with the items of a batch: all of it is told, each with its line, and nothing is stored."""

import csv
import io
import json

import pytest
from batch_inputs import line, results, stored, submit, submit_lines, told, upload

from core.services import known_files
from core.services.analyses import METADATA_BYTES

BIG_NUMBER = "9" * 5_000
UNKNOWN = "file_" + "0" * 26


def as_json_lines(rows):
    return b"\n".join(json.dumps(row).encode() for row in rows)


def as_csv(rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


WAYS = {
    "JSON": (lambda client, rows: submit(client, inputs=rows), 1),
    "JSON Lines": (lambda client, rows: submit_lines(client, as_json_lines(rows)), 1),
    "CSV": (lambda client, rows: submit_lines(client, as_csv(rows)), 2),
}


@pytest.fixture
def foreign(app, new_key, photo):
    """A photo of another account."""
    headers = {"Authorization": f"Bearer {new_key().secret}"}
    data = {"file": (io.BytesIO(photo()), "p.jpg")}
    return app.test_client().post("/api/v1/files", data=data, headers=headers).json["id"]


@pytest.mark.parametrize("way", WAYS)
def test_files_that_are_not_there_or_another_s_or_no_image_are_told_with_all_other_faults(
    client, key, desk, file_id, foreign, way
):
    send, first = WAYS[way]
    no_image = upload(client, line(file_id))
    rows = [
        {"custom_id": "good", "image": file_id, "question": "?!"},
        {"custom_id": "unknown", "image": UNKNOWN, "question": "?!"},
        {"custom_id": "no model", "image": file_id, "question": "?!", "model": "gpt-17"},
        {"custom_id": "foreign", "image": foreign, "question": "?!"},
        {"custom_id": "twice", "image": UNKNOWN, "question": " "},
        {"custom_id": "a list", "image": no_image, "question": "?!"},
    ]
    found = told(send(client, rows))
    assert [(number - first, name, field) for number, name, field, _ in found] == [
        (1, "unknown", "images"),
        (2, "no model", "model"),
        (3, "foreign", "images"),
        (4, "twice", "question"),
        (4, "twice", "images"),
        (5, "a list", "images"),
    ]
    assert found[2][3] == f"There is no file '{foreign}'."
    assert stored(desk, key.key.account_id) == (0, 0)


def test_unknown_files_are_told_in_the_order_of_their_lines_however_many_there_are(client, key, file_id):
    count = known_files.AT_ONCE + 500
    rows = [{"image": file_id, "question": "?!"} for _ in range(count)]
    for place in (0, known_files.AT_ONCE - 1, known_files.AT_ONCE, count - 1):
        rows[place] = {"image": f"file_{place}", "question": "?!"}
    rows[10] = {"image": file_id}
    lines = [number for number, *_ in told(submit(client, inputs=rows))]
    assert lines == [1, 11, known_files.AT_ONCE, known_files.AT_ONCE + 1, count]


@pytest.mark.parametrize("file", ["", "x" * 41, "a\0b", "\ud800", 7, {}, {"file_id": ["x"]}, []])
def test_what_is_no_file_id_is_told_with_its_line(client, file_id, file):
    rows = [{"image": file_id, "question": "?!"}, {"custom_id": "b", "image": file, "question": "?!"}]
    assert [found[:3] for found in told(submit(client, inputs=rows))] == [(2, "b", "images")]


@pytest.mark.parametrize("way", ["JSON", "form"])
def test_the_metadata_of_a_batch_may_take_as_much_as_others_and_no_more(
    client, key, desk, photo, file_id, way
):
    def send(size):
        metadata = {"note": "x" * (size - len('{"note": ""}'))}
        if way == "JSON":
            return submit(client, inputs=[{"image": file_id, "question": "?!"}], metadata=metadata)
        data = {"images": (io.BytesIO(photo()), "p.jpg"), "question": "?!", "metadata": json.dumps(metadata)}
        return client.post("/api/v1/batches", data=data)

    refused = send(METADATA_BYTES + 1)
    assert (refused.status_code, refused.json["error"]) == (
        400,
        "metadata: May take at most 16,384 bytes as JSON.",
    )
    assert stored(desk, key.key.account_id) == (0, 0)
    assert send(METADATA_BYTES).status_code == 202


def test_null_is_as_if_left_out_wherever_it_stands(client, file_id):
    names = ("context", "preset", "model", "max_tokens", "temperature", "detail", "metadata")
    nothing = dict.fromkeys(names)
    inputs = [
        {"custom_id": None, "image": None, "images": [file_id], "question": None, **nothing},
        {"custom_id": "b", "image": {"file_id": file_id, "base64": None}, "images": None, "question": "Why?"},
    ]
    defaults = {**nothing, "question": "What?", "metadata": {"a": None}}
    order = dict.fromkeys(("input_file_id", "metadata", "completion_window", "priority", "pilot", "max_cost"))
    sent = submit(client, inputs=inputs, defaults=defaults, **order)
    lines = submit_lines(client, as_json_lines(inputs), defaults=defaults)
    for answer in (sent, lines):
        rows = results(client, answer)
        assert [(row["custom_id"], row["question"]) for row in rows] == [("item-1", "What?"), ("b", "Why?")]
        assert rows[0]["metadata"] == {"a": None}


def test_an_item_that_is_null_is_told_with_its_line(client, file_id):
    answer = submit(client, inputs=[{"image": file_id, "question": "?!"}, None])
    assert told(answer) == [(2, None, "line", "An item is a JSON object.")]


def test_a_question_that_is_null_and_has_no_default_is_missing(client, file_id):
    [(number, _, field, _)] = told(submit(client, inputs=[{"image": file_id, "question": None}]))
    assert (number, field) == (1, "question")


@pytest.mark.parametrize("way", WAYS)
def test_an_item_with_image_and_images_is_refused(client, key, desk, file_id, way):
    send, first = WAYS[way]
    both = {"custom_id": "a", "image": file_id, "images": file_id if way == "CSV" else [file_id]}
    answer = send(client, [{**both, "question": "?!"}])
    assert told(answer) == [(first, "a", "images", "Give either image or images, not both.")]
    assert stored(desk, key.key.account_id) == (0, 0)


@pytest.mark.parametrize(
    ("path", "field"), [("batches", "images"), ("batch-analyze", "images"), ("image/analyze-batch", "files")]
)
def test_a_form_with_question_and_questions_is_refused(client, key, desk, photo, path, field):
    data = {field: (io.BytesIO(photo()), "p.jpg"), "question": "One?", "questions": ["Two?"]}
    answer = client.post(f"/api/v1/{path}", data=data)
    assert answer.status_code == 400
    assert answer.json["error"] == "questions: Give either question, for all images, or questions, not both."
    assert stored(desk, key.key.account_id) == (0, 0)


def test_broken_utf_8_is_told_with_its_line_in_a_file_of_any_size(client, key, desk, file_id):
    broken = b'{"image": "\xff\xfe"}'
    for more in ([], [line(file_id, context="x" * 7_000)] * 20):
        content = b"\n".join([broken, line(file_id), *more, b'{"image": ', broken, b'{"question": "\xc3'])
        found = told(submit_lines(client, content))
        last = 5 + len(more)
        assert [number for number, *_ in found] == [1, last - 2, last - 1, last]
        assert [error for *_, error in found if "UTF-8" in error] == ["The line is not UTF-8."] * 3
    assert stored(desk, key.key.account_id) == (0, 0)


SENT = {
    "a body": lambda client, text: client.post(
        "/api/v1/batches", data=f'{{"inputs": [{text}]}}', content_type="application/json"
    ),
    "a line": lambda client, text: submit_lines(client, f'{{"max_tokens": {text}}}'.encode()),
    "a cell": lambda client, text: submit_lines(client, f"image,question,max_tokens\nx,y,{text}".encode()),
    "metadata in a cell": lambda client, text: submit_lines(
        client, f"image,question,metadata\nx,y,{text}".encode()
    ),
}


@pytest.mark.parametrize("way", SENT)
def test_a_number_of_thousands_of_digits_is_refused_in_words_of_ours(client, way):
    answer = SENT[way](client, BIG_NUMBER)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    for of_python in ("sys.", "set_int", "4300", "string conversion"):
        assert of_python not in answer.text

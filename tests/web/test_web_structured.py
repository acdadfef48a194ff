"""Forms of answers at submission: kept as they came, or refused at once."""

import io
import json

import pytest

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
FORM = {"type": "json_schema", "json_schema": {"name": "colour", "schema": SCHEMA}}


@pytest.fixture
def upload(client, photo):
    data = {"file": (io.BytesIO(photo()), "p.jpg"), "purpose": "vision"}
    return client.post("/api/v1/files", data=data).json["id"]


def ask(client, upload, **fields):
    body = {"images": [{"file_id": upload}], "question": "What colour?", **fields}
    return client.post("/api/v1/analyses", json=body)


def test_a_form_is_kept_as_it_came(client, upload):
    answer = ask(client, upload, response_format=FORM)
    assert answer.status_code == 202
    assert json.dumps(answer.json["response_format"]) == json.dumps(FORM)


def test_a_form_can_be_sent_as_a_field(client, photo):
    fields = {"question": "What colour?", "response_format": json.dumps(FORM)}
    data = {"file": (io.BytesIO(photo()), "p.jpg"), **fields}
    assert client.post("/api/v1/analyses", data=data).json["response_format"] == FORM


@pytest.mark.parametrize(
    "response_format",
    [
        "json",
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "strin"}}},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "http://127.0.0.1/"}}},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"pattern": "(a+)+$"}}},
    ],
)
def test_a_form_that_cannot_be_asked_for_is_refused_at_submission(client, upload, response_format):
    answer = ask(client, upload, response_format=response_format)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")
    assert "response_format" in answer.json["error"]


def test_a_preset_with_a_schema_takes_no_other_form(client, upload):
    answer = ask(client, upload, preset="product", response_format=FORM)
    assert answer.status_code == 400
    assert "form of its own" in answer.json["error"]


def test_items_take_forms_of_their_own_or_that_of_their_batch_and_every_bad_one_is_told(client, upload):
    bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "strin"}}}
    items = [{"image": upload}, {"image": upload, "response_format": {"type": "text"}}]
    body = {"inputs": items, "defaults": {"question": "?!", "response_format": FORM}}
    batch = client.post("/api/v1/batches", json=body).json
    page = client.get(f"/api/v1/batches/{batch['id']}/results").json["data"]
    assert [row["response_format"] for row in page] == [FORM, {"type": "text"}]
    broken = [{"image": upload, "response_format": each} for each in (bad, "x", {"type": "y"}, {"a": "\0"})]
    answer = client.post("/api/v1/batches", json={**body, "inputs": broken})
    assert answer.status_code == 400
    assert [problem["line"] for problem in answer.json["details"]["errors"]] == [1, 2, 3, 4]
    assert {problem["field"] for problem in answer.json["details"]["errors"]} == {"response_format"}

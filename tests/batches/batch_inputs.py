"""What the tests of a batch's inputs do through the test client."""

import io
import json

from sqlalchemy import func, select

from core.models import Analysis, Batch


def submit(client, **body):
    return client.post("/api/v1/batches", json=body)


def upload(client, content, name="in.jsonl"):
    data = {"file": (io.BytesIO(content), name), "purpose": "batch"}
    answer = client.post("/api/v1/files", data=data)
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def submit_lines(client, content, **order):
    """Submit what an uploaded file holds."""
    return submit(client, input_file_id=upload(client, content), **order)


def line(file_id, **more):
    return json.dumps({"image": file_id, "question": "?!", **more}).encode()


def stored(desk, account_id):
    """How many batches and items an account has."""
    with desk.database.transaction() as session:
        batches = session.scalar(
            select(func.count()).select_from(Batch).where(Batch.account_id == account_id)
        )
        rows = select(func.count()).where(Analysis.account_id == account_id, Analysis.batch_id.is_not(None))
        return batches, session.scalar(rows)


def results(client, answer):
    """The items of a batch that was just accepted."""
    assert answer.status_code == 202, answer.text
    return client.get(answer.headers["Location"] + "/results").json["data"]


def told(answer):
    """The problems of a submission that was refused: (line, custom_id, field, error)."""
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request"), answer.text
    found = answer.json["details"]["errors"]
    assert answer.json["details"]["error_count"] == len(found)
    return [(each["line"], each["custom_id"], each["field"], each["error"]) for each in found]

"""Submissions that break off, or are very large: what is left behind, and what they take."""

import io
import json
import socket
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select, update
from waiting import wait_until
from webprocess import WebProcess

from core.errors import InvalidRequest
from core.models import Analysis, Batch, Blob, File
from core.services import batches, files, items
from core.services.batches import Order
from core.services.files import Upload
from core.services.items import Items

BOUNDARY = b"--b\r\n"
BATCHES, FILES = "/api/v1/batches", "/api/v1/files"
MOST_MEMORY = 60_000_000


@pytest.fixture(scope="module")
def server(environment, folder):
    process = WebProcess(environment, folder)
    yield process
    process.stop()


def part(name, content, file_name=None):
    file = f'; filename="{file_name}"' if file_name else ""
    head = f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return BOUNDARY + head.encode() + content + b"\r\n"


def many_images(photo):
    """Twenty photos, and the beginning of one that is large enough to go to disk."""
    whole = b"".join(part("images", photo((n, 9, 9)), f"{n}.jpg") for n in range(20))
    return part("question", b"?!") + whole + part("images", photo() + b"x" * 600_000, "large.jpg")[:-9]


def json_lines(_photo):
    return part("purpose", b"batch") + part("file", b'{"custom_id": "sku-1"}\n' * 40_000, "in.jsonl")[:-9]


def stored(desk, account_id):
    """Rows of the account, and every file of the blob store."""
    with desk.database.transaction() as session:
        rows = [
            session.scalar(select(func.count()).select_from(table).where(table.account_id == account_id))
            for table in (Batch, Analysis, File)
        ]
        blobs = session.scalar(select(func.count()).select_from(Blob))
    place = Path(desk.settings.storage_url.removeprefix("file://"))
    return rows, blobs, {path for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("path", "body"), [(BATCHES, many_images), (FILES, json_lines)])
def test_an_upload_that_breaks_off_half_way_leaves_nothing(server, key, desk, photo, path, body):
    before = stored(desk, key.key.account_id)
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(head(path, key, 5_000_000, "multipart/form-data; boundary=b") + body(photo))
        wait_until(server.spools)  # it has gone to disk
    wait_until(lambda: not server.spools())
    assert stored(desk, key.key.account_id) == before


def test_a_body_of_items_that_breaks_off_half_way_leaves_nothing(server, key, desk):
    signed_in = {"Authorization": f"Bearer {key.secret}", "Connection": "close"}
    requests.get(server.url + BATCHES, headers=signed_in, timeout=10)  # its connection to the database stays
    before, sockets = stored(desk, key.key.account_id), server.open_sockets()
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(head(BATCHES, key, 5_000_000, "application/json") + b'{"inputs": [{}, {}')
        wait_until(lambda: server.open_sockets() > sockets)
    wait_until(lambda: server.open_sockets() <= sockets)
    assert stored(desk, key.key.account_id) == before


def head(path, key, length, kind):
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\n"
        f"Authorization: Bearer {key.secret}\r\n\r\n"
    ).encode()


def test_a_file_deleted_while_its_batch_is_taken_refuses_it_and_the_bytes_are_tidied_away(
    desk, key, photo, file_id
):
    account_id, content = key.key.account_id, photo((1, 2, 3), (77, 78))
    before = stored(desk, account_id)
    fresh = Upload(io.BytesIO(content), len(content), sha256(content).hexdigest(), "p.jpg")
    rows = [{"image": fresh, "question": "?!"}, {"image": file_id, "question": "?!"}]
    read = Items(desk, account_id, {}, read_image=None).read(enumerate(rows, 1))
    files.delete(desk, account_id, file_id)
    order = Order(metadata={}, window=timedelta(hours=1), priority="normal", pilot=None)
    with pytest.raises(InvalidRequest, match="deleted meanwhile"):
        batches.submit(desk, key.key, read, order, "req-1")
    with desk.database.transaction() as session:
        session.execute(update(Blob).values(touched_at=func.now() - 2 * files.ABANDONED_AFTER))
    while files.collect_abandoned(desk):
        pass
    rows, blobs, bytes_left = stored(desk, account_id)
    assert rows == [0, 0, 0]
    assert blobs <= before[1]
    assert bytes_left <= before[2]


def test_accepting_fifty_thousand_items_takes_little_memory(server, key, photo):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key.secret}"
    file_id = session.post(server.url + FILES, files={"file": ("p.jpg", photo())}, timeout=30).json()["id"]
    for _ in range(2):  # whatever is made on first use
        post(server, session, inputs=rows_of(file_id, 100))
    body = json.dumps({"inputs": rows_of(file_id, items.MOST_ITEMS)}).encode()
    _, by_body = server.most_memory_during(lambda: post(server, session, body))
    lines = "\n".join(json.dumps(row) for row in rows_of(file_id, items.MOST_ITEMS))
    sent = {"file": ("in.jsonl", lines)}
    input_file = session.post(server.url + FILES, files=sent, data={"purpose": "batch"}, timeout=30).json()
    _, by_file = server.most_memory_during(lambda: post(server, session, input_file_id=input_file["id"]))
    assert (by_body < MOST_MEMORY, by_file < MOST_MEMORY) == (True, True), (by_body, by_file)


QUESTION = "Which colour is the article no_{:026}, and is its background fit for the catalogue?"


def rows_of(file_id, count):
    return [
        {"custom_id": f"sku-{n:06}", "image": file_id, "question": QUESTION.format(n)} for n in range(count)
    ]


def post(server, session, body=None, **fields):
    content = json.dumps(fields).encode() if body is None else body
    headers = {"Content-Type": "application/json"}
    answer = session.post(server.url + BATCHES, data=content, headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text

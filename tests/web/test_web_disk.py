"""Disks that are full: uploads are put off, nothing is half-stored, and it goes on when there is room again.

The disk of one web process is made small by the size that its files may have (RLIMIT_FSIZE).
"""

import base64
import contextlib
import hashlib
import os
import resource
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select
from webprocess import WebProcess

from core.models import Analysis, Batch, File

SMALL = 30_000
"""Bytes of an image that is kept in memory until it goes into the blob store."""
LARGE = 400_000
"""Of one that goes through a temporary file."""


@pytest.fixture(scope="module")
def server(environment, folder):
    process = WebProcess(environment, folder)
    yield process
    process.stop()


@pytest.fixture
def signed_in(new_key):
    key = new_key(unlimited=True)
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key.secret}"
    session.account_id = key.key.account_id
    return session


@contextlib.contextmanager
def room(server, size):
    """No file of the server can grow beyond this."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


def image(photo, size):
    """A picture of its own that has this many bytes."""
    return photo() + os.urandom(size - len(photo()))


def rows(desk, account_id):
    with desk.database.transaction() as session:
        counts = [
            select(func.count()).select_from(model).where(model.account_id == account_id)
            for model in (File, Analysis, Batch)
        ]
        return [session.scalar(count) for count in counts]


def stored(settings):
    """Every file of the blob store, those that were only begun as well."""
    return {path for path in Path(settings.storage_url.removeprefix("file://")).rglob("*") if path.is_file()}


def upload(server, session, content):
    data = {"files": {"file": ("p.jpg", content)}, "data": {"purpose": "vision"}}
    return session.post(f"{server.url}/api/v1/files", timeout=60, **data)


def analysis(server, session, content):
    data = {"files": {"file": ("p.jpg", content)}, "data": {"question": "?!"}}
    return session.post(f"{server.url}/api/v1/analyses", timeout=60, **data)


def in_json(server, session, content):
    body = {"question": "?!", "images": [{"base64": base64.b64encode(content).decode()}]}
    return session.post(f"{server.url}/api/v1/analyses", timeout=60, json=body)


def batch(server, session, content):
    files = [("images", ("p.jpg", content)), ("images", ("q.jpg", content + b"2"))]
    return session.post(f"{server.url}/api/v1/batches", timeout=60, files=files, data={"question": "?!"})


@pytest.mark.parametrize(("size", "left"), [(SMALL, SMALL // 2), (LARGE, LARGE // 2)])
@pytest.mark.parametrize("send", [upload, analysis, in_json, batch])
def test_what_finds_no_room_is_put_off_and_leaves_nothing_behind(
    server, signed_in, desk, settings, photo, send, size, left
):
    content, before = image(photo, size), stored(settings)
    with room(server, left):
        answer = send(server, signed_in, content)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert rows(desk, signed_in.account_id) == [0, 0, 0]
    assert stored(settings) == before
    assert server.spools() == []
    again = send(server, signed_in, content)
    assert again.status_code in {201, 202}, again.text
    assert desk.blobs.get(hashlib.sha256(content).hexdigest()) == content


def test_a_disk_without_room_for_uploads_still_answers_what_needs_none(server, signed_in, photo):
    made = analysis(server, signed_in, image(photo, SMALL)).json()
    with room(server, 0):
        assert signed_in.get(f"{server.url}/api/v1/analyses/{made['id']}", timeout=60).status_code == 200
        assert requests.get(f"{server.url}/metrics", timeout=60).status_code == 200

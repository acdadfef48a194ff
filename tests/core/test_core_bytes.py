"""Stored bytes: once, for good, and gone only when nothing needs them."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import func, update

from core.blobs import Blobs
from core.errors import NotFound, Unavailable
from core.models import Blob
from core.services import files
from core.services.files import safe_name
from webapp.uploads import Spool


def upload(content):
    spool = Spool(1_000_000)
    spool.write(content)
    return spool.upload("x.jpg")


def age(desk, digest):
    with desk.database.transaction() as session:
        old = func.now() - timedelta(hours=2)
        session.execute(update(Blob).where(Blob.digest == digest).values(touched_at=old))


def test_bytes_come_back_as_they_were_and_putting_them_twice_is_once(desk):
    one = upload(b"some bytes")
    files.keep_bytes(desk, [one, upload(b"some bytes")])
    assert desk.blobs.get(one.digest) == b"some bytes"


def test_bytes_that_nothing_names_are_removed_once_they_are_old(desk):
    abandoned = upload(b"abandoned")
    files.keep_bytes(desk, [abandoned])
    assert files.collect_abandoned(desk) == 0
    age(desk, abandoned.digest)
    assert files.collect_abandoned(desk) == 1
    with pytest.raises(NotFound):
        desk.blobs.get(abandoned.digest)
    files.keep_bytes(desk, [abandoned])
    assert desk.blobs.get(abandoned.digest) == b"abandoned"


def test_bytes_that_a_file_names_are_kept_however_old(desk, client, photo):
    content = photo("maroon")
    data = {"file": (io.BytesIO(content), "p.jpg"), "question": "?!"}
    digest = client.post("/api/v1/analyses", data=data).json["images"][0]["sha256"]
    age(desk, digest)
    files.collect_abandoned(desk)
    assert desk.blobs.get(digest) == content


def test_bytes_that_are_touched_again_while_being_collected_survive(desk, monkeypatch):
    wanted = upload(b"wanted again")
    files.keep_bytes(desk, [wanted])
    age(desk, wanted.digest)
    found = files.files.abandoned_blobs

    def touched_meanwhile(*args):
        digests = found(*args)
        files.keep_bytes(desk, [wanted])
        return digests

    monkeypatch.setattr(files.files, "abandoned_blobs", touched_meanwhile)
    assert files.collect_abandoned(desk) == 0
    assert desk.blobs.get(wanted.digest) == b"wanted again"


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable):
        Blobs(f"file://{tmp_path}/file/blobs").put("a" * 64, io.BytesIO(b"x"))


def test_a_folder_with_odd_characters_in_its_name_works(tmp_path):
    store = Blobs(f"file://{tmp_path}/my%20shop%20%231")
    store.put("b" * 64, io.BytesIO(b"x"))
    assert (tmp_path / "my shop #1" / "bb" / "bb" / ("b" * 64)).read_bytes() == b"x"
    store.delete("b" * 64)
    store.delete("b" * 64)


@pytest.mark.parametrize("name", ["", "/", "..", "\0", "\u202e\u200b", "a/b/"])
def test_every_name_comes_out_as_something_to_show(name):
    shown = safe_name(name)
    assert shown
    assert "/" not in shown
    assert shown.isprintable()

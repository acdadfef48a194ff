"""A ZIP of images becomes a batch, and no archive gets further than its directory that should not."""

import io
import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core import archive
from core.models import Analysis, Batch, Blob, File
from core.services import archives
from local.samples import draw_samples

CENTRAL = {"flags": (8, "<H"), "crc": (16, "<L"), "size": (24, "<L"), "offset": (42, "<L")}
"""Where fields stand in an entry of the directory."""


def zipped(members, method=zipfile.ZIP_DEFLATED):
    """An archive of (name or ZipInfo, content) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)
    return buffer.getvalue()


def tampered(content, **fields):
    """The archive with other values in the last entry of its directory."""
    changed, entry = bytearray(content), content.rindex(archive.ENTRY)
    for name, value in fields.items():
        at, form = CENTRAL[name]
        struct.pack_into(form, changed, entry + at, value)
    return bytes(changed)


def local(name, crc, packed, size, extra=b"", method=8):
    fixed = (b"PK\3\4", 20, 0, method, 0, 33, crc, packed, size, len(name), len(extra))
    return struct.pack("<4sHHHHHLLLHH", *fixed) + name + extra


def finished(body, entries, method=8):
    """An archive of local headers and bytes with the directory of (name, crc, packed, size, offset)."""
    directory = b"".join(
        struct.pack(
            "<4s6H3L5H2L",
            *(archive.ENTRY, 20, 20, 0, method, 0, 33, crc, packed, size, len(name), 0, 0, 0, 0, 0, offset),
        )
        + name
        for name, crc, packed, size, offset in entries
    )
    count = min(len(entries), 0xFFFF)
    return (
        body
        + directory
        + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    )


def quoting_bomb(count, content):
    """Each member's stream quotes the header of the next and goes on as that one: all share one kernel."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    tail, unpacked, lengths = squeezer.compress(content) + squeezer.flush(), content, []
    for number in reversed(range(count)):
        about = f"{number:04}.jpg".encode(), zlib.crc32(unpacked), len(tail), len(unpacked)
        header = local(*about)
        lengths.insert(0, (*about, len(header) + len(tail)))
        quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
        body, tail, unpacked = header + tail, quote + header + tail, header + unpacked
    return finished(body, [(*entry, len(body) - length) for *entry, length in lengths])


def sharing_by_extra_field(content):
    """Two members of one and the same bytes: the second's header is hidden in the first's extra field."""
    crc, size = zlib.crc32(content), len(content)
    inner = local(b"b.jpg", crc, size, size, method=0)
    extra = struct.pack("<HH", 0x9999, len(inner)) + inner
    outer = local(b"a.jpg", crc, size, size, extra, method=0)
    entries = [(b"a.jpg", crc, size, size, 0), (b"b.jpg", crc, size, size, len(outer) - len(inner))]
    return finished(outer + content, entries, method=0)


def special(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    return info


@pytest.fixture
def submit(client):
    """Upload an archive and make a batch of it."""

    def send(content, **order):
        data = {"file": (io.BytesIO(content), "photos.zip"), "purpose": "batch"}
        file = client.post("/api/v1/files", data=data)
        assert file.status_code == 201, file.text
        order = {"defaults": {"question": "Which colour?"}, **order}
        return client.post("/api/v1/batches", json={"input_file_id": file.json["id"], **order})

    return send


@pytest.fixture
def refused(submit, key, desk):
    """Submit what must not be taken; the answer, once it is sure that nothing was stored."""

    def send(content):
        answer = submit(content)
        assert answer.status_code == 400, answer.text
        with desk.database.transaction() as session:
            mine = key.key.account_id
            assert not session.scalar(select(func.count()).where(Batch.account_id == mine))
            assert not session.scalar(select(func.count()).where(Analysis.account_id == mine))
            assert set(session.scalars(select(File.purpose).where(File.account_id == mine))) == {"batch"}
        return answer.json

    return send


def told(answer):
    return {found["custom_id"]: found["error"] for found in answer["details"]["errors"]}


def results(client, answer):
    assert answer.status_code == 202, answer.text
    return client.get(answer.headers["Location"] + "/results?limit=1000").json["data"]


def test_each_image_is_an_item_called_by_its_path_in_the_order_of_names(client, submit, photo):
    members = [
        ("b/2.png", photo("red", form="PNG")),
        ("a.jpg", photo("blue")),
        ("b/./10.jpg", photo("green")),
    ]
    rows = results(client, submit(zipped(members), defaults={"preset": "product", "metadata": {"n": 1}}))
    assert [(row["custom_id"], row["position"]) for row in rows] == [
        ("a.jpg", 0),
        ("b/10.jpg", 1),
        ("b/2.png", 2),
    ]
    assert {row["preset"]["name"] if isinstance(row["preset"], dict) else row["preset"] for row in rows} == {
        "product"
    }
    assert rows[0]["metadata"] == {"n": 1}
    [image] = rows[2]["images"]
    assert client.get(f"/api/v1/files/{image['file_id']}/content").data == members[0][1]
    file = client.get(f"/api/v1/files/{image['file_id']}").json
    assert (file["media_type"], file["purpose"]) == ("image/png", "analysis")


def test_the_same_bytes_are_stored_once(client, desk, submit, photo):
    content = photo("teal", (33, 44))
    rows = results(client, submit(zipped([("a.jpg", content), ("b.jpg", content)])))
    [digest] = {row["images"][0]["sha256"] for row in rows}
    with desk.database.transaction() as session:
        assert session.scalar(select(func.count()).where(Blob.digest == digest)) == 1
    assert desk.blobs.get(digest) == content


def test_folders_hidden_files_and_what_systems_leave_behind_are_passed_over(client, submit, photo):
    left = [
        "shoes/",
        "__MACOSX/shoes/._1.jpg",
        ".DS_Store",
        "shoes/.DS_Store",
        "shoes/Thumbs.db",
        ".git/a.jpg",
    ]
    members = [(name, b"" if name.endswith("/") else b"\0" * 6_148) for name in left]
    rows = results(client, submit(zipped([*members, ("shoes/1.jpg", photo())])))
    assert [row["custom_id"] for row in rows] == ["shoes/1.jpg"]


def test_names_in_utf8_come_out_whether_they_say_so_or_not(client, submit, photo):
    said = zipped([("신발.jpg", photo())])
    unsaid = zipped([("_shoe_.jpg", photo())]).replace(b"_shoe_", "신발".encode())
    for content in (said, unsaid):
        assert [row["custom_id"] for row in results(client, submit(content))] == ["신발.jpg"]


def test_names_in_another_encoding_are_read_as_the_format_says(client, submit, photo):
    content = zipped([("gr__e.jpg", photo())]).replace(b"gr__e", b"gr\x94\xe1e")
    assert [row["custom_id"] for row in results(client, submit(content))] == ["größe.jpg"]


def test_a_name_that_says_utf8_and_is_not_is_refused(refused, photo):
    content = zipped([("größe.jpg", photo())]).replace("ö".encode(), b"\xff\xfe")
    assert "broken" in refused(content)["error"]


def test_large_archives_and_ones_behind_other_bytes_are_read(client, submit, photo):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made, made.open("a.jpg", "w", force_zip64=True) as member:
        member.write(photo())
    assert len(results(client, submit(buffer.getvalue()))) == 1
    assert len(results(client, submit(b"PK\3\4 a prefix" + zipped([("a.jpg", photo())])))) == 1


BAD_MEMBERS = {
    "/etc/passwd.jpg": "absolute",
    "C:/photos/a.jpg": "absolute",
    "../../etc/passwd.jpg": "'..'",
    "a/../b.jpg": "'..'",
    "a\\b.jpg": "backslashes",
    "a\x07b.jpg": "control characters",
    "a" * 125 + ".jpg": "longer than the 128",
    "note.txt": ".txt are not taken",
    "empty.jpg": "is empty",
    "text.jpg": "is text",
    "inner.jpg": "a ZIP archive",
    "huge.jpg": "at most 10,000,000",
    "zeros.bmp": "100 times",
    "link.jpg": "a link",
    "pipe.jpg": "a link",
    "bzip2.jpg": "method 12",
    "lzma.jpg": "method 14",
}


def bad_members(photo):
    contents = {
        "empty.jpg": b"",
        "text.jpg": b"hello",
        "inner.jpg": zipped([("a.jpg", photo())]),
        "huge.jpg": photo() + os.urandom(10_000_000),
        "zeros.bmp": b"BM" + b"\0" * 9_000_000,
    }
    infos = {"link.jpg": special("link.jpg", stat.S_IFLNK), "pipe.jpg": special("pipe.jpg", stat.S_IFIFO)}
    for name, method in (("bzip2.jpg", zipfile.ZIP_BZIP2), ("lzma.jpg", zipfile.ZIP_LZMA)):
        infos[name] = zipfile.ZipInfo(name)
        infos[name].compress_type = method
    return [(infos.get(name, name), contents.get(name, photo())) for name in BAD_MEMBERS]


def test_every_bad_member_is_told_by_name_and_nothing_is_stored(refused, photo):
    answer = refused(zipped([("good.jpg", photo()), *bad_members(photo)]))
    assert answer["details"]["error_count"] == len(BAD_MEMBERS)
    why = told(answer)
    for name, words in BAD_MEMBERS.items():
        assert words in why[name.replace("\x07", "\\x07")[:128]], name
    assert {found["field"] for found in answer["details"]["errors"]} == {"image"}


def test_a_name_that_goes_on_behind_a_nul_is_refused(refused, photo):
    content = zipped([("a.jpg_.exe", photo())]).replace(b"a.jpg_", b"a.jpg\0")
    assert "control characters" in told(refused(content))["a.jpg\\x00.exe"]


def test_two_members_of_one_name_are_refused(refused, photo):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = zipped([("a.jpg", photo("red")), ("a.jpg", photo("blue"))])
    assert "already" in told(refused(content))["a.jpg"]
    assert "already" in told(refused(zipped([("b/a.jpg", photo()), ("b//a.jpg", photo())])))["b/a.jpg"]


LIES = {
    "encrypted": "encrypted",
    "another checksum": "Bad CRC-32",
    "flipped bytes": "Bad CRC-32",
    "less than there is": "more than the 100 bytes",
    "less than there is, and its checksum": "more than the 100 bytes",
    "less than little, and its checksum": "Bad CRC-32",
    "more than there is": "of the 999,999 bytes",
    "a place outside": "outside of the archive",
    "a place in the middle": "outside of the archive",
}


def lie(case, photo):
    content = photo(size=(600, 400))
    good, prefix = zipped([("a.jpg", content)]), zlib.crc32(content[:100])
    large = zipped([("a.jpg", content + os.urandom(3_000_000))])
    stored = zipped([("a.jpg", content + os.urandom(99_999))], zipfile.ZIP_STORED)
    return {
        "encrypted": lambda: tampered(good, flags=1),
        "another checksum": lambda: tampered(good, crc=1),
        "flipped bytes": lambda: stored.replace(content[50:60], b"\0" * 10),
        "less than there is": lambda: tampered(good, size=100),
        "less than there is, and its checksum": lambda: tampered(large, size=100, crc=prefix),
        "less than little, and its checksum": lambda: tampered(good, size=100, crc=prefix),
        "more than there is": lambda: tampered(stored, size=999_999),
        "a place outside": lambda: tampered(good, offset=len(good)),
        "a place in the middle": lambda: tampered(good, offset=5),
    }[case]()


@pytest.mark.parametrize("case", LIES)
def test_a_member_that_lies_is_refused(refused, photo, case):
    assert LIES[case] in told(refused(lie(case, photo)))["a.jpg"]


def test_a_bomb_of_members_that_quote_each_other_is_refused(refused):
    content = quoting_bomb(250, b"\xff\xd8\xff" + os.urandom(50_000))
    answer = refused(content)
    assert answer["details"]["error_count"] == 250
    assert set(told(answer).values()) == {archive.SHARED}


def test_bytes_that_are_shared_behind_an_extra_field_are_refused(refused, photo):
    assert told(refused(sharing_by_extra_field(photo()))) == {
        "a.jpg": archive.SHARED,
        "b.jpg": archive.SHARED,
    }


def test_a_bomb_is_told_by_its_directory_and_never_unpacked(refused, monkeypatch):
    content = zipped([("zeros.bmp", b"BM" + bytes(9_000_000))])
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # which would be a 500
    assert "100 times" in told(refused(content))["zeros.bmp"]


def test_more_than_the_images_of_one_archive_may_come_to_is_refused(refused, photo, monkeypatch):
    monkeypatch.setattr(archives, "MOST_UNPACKED", 0.00001)
    assert "unpacks to" in refused(zipped([("a.jpg", photo())]))["error"]


def test_more_members_than_a_batch_takes_are_refused_by_the_directory(refused):
    content = finished(b"PK\3\4", [(f"{n:05}.jpg".encode(), 0, 0, 0, 0) for n in range(50_001)])
    content = content[:-14] + b"\0" * 4 + content[-10:]  # whatever it says that it lists
    assert "50,001 files" in refused(content)["error"]


def test_a_directory_that_is_too_large_to_be_held_is_not_read_into_memory(refused):
    content = finished(b"PK\3\4", [(b"a", 0, 0, 0, 0)] * (archive.MOST_ENTRIES + 1))
    assert "more than 150,000 entries" in refused(content)["error"]
    directory = archive.LARGEST_DIRECTORY + 1
    content = b"PK\3\4" + bytes(directory) + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0, 0, directory, 4, 0)
    assert "more than 150,000 entries" in refused(content)["error"]


@pytest.mark.parametrize("members", [[], [("photos/", b""), (".DS_Store", b"x")]])
def test_an_archive_without_images_is_refused(refused, members):
    assert "holds no images" in refused(zipped([("empty/", b""), *members]))["error"]


def test_an_archive_that_is_cut_off_or_garbled_anywhere_is_refused_or_read_but_never_a_failure(
    client, submit, photo
):
    good = zipped([("a.jpg", photo()), ("b/c.jpg", photo("blue"))])
    for cut in range(4, len(good) - 1, 97):
        assert submit(good[:cut]).status_code == 400
    for at in range(4, len(good), 61):
        for value in (0, 0xFF):
            assert submit(good[:at] + bytes([value]) + good[at + 1 :]).status_code in {202, 400}
    for at in range(good.index(archive.ENTRY), len(good)):
        assert submit(good[:at] + b"\xff" + good[at + 1 :]).status_code in {202, 400}


def test_missing_defaults_are_told_for_each_image(refused, client, submit, photo):
    answer = submit(zipped([("a.jpg", photo())]), defaults={})
    assert (answer.status_code, answer.json["details"]["errors"][0]["field"]) == (400, "question")


def test_another_account_cannot_make_a_batch_of_it(app, client, new_key, photo):
    data = {"file": (io.BytesIO(zipped([("a.jpg", photo())])), "p.zip"), "purpose": "batch"}
    file = client.post("/api/v1/files", data=data).json
    body = {"input_file_id": file["id"], "defaults": {"question": "?!"}}
    other = {"Authorization": f"Bearer {new_key().secret}"}
    assert app.test_client().post("/api/v1/batches", json=body, headers=other).status_code == 404


def unnamed_files():
    links = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return sum("(deleted)" in str(link.readlink()) for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks into /proc")
def test_nothing_temporary_is_left_open_whatever_the_outcome(submit, photo):
    def open_after(content):
        submit(content)
        return unnamed_files()

    before = unnamed_files()
    good = zipped([("a.jpg", photo()), ("b.jpg", photo("blue"))])
    assert open_after(good) == before
    assert open_after(good[:-30]) == before
    assert open_after(zipped([("a.txt", b"x")])) == before


def test_neither_the_archive_nor_its_images_are_held_in_memory(client, photo):
    images = [(f"{n:02}.jpg", photo() + os.urandom(2_000_000)) for n in range(40)]
    data = {"file": (io.BytesIO(zipped(images)), "photos.zip"), "purpose": "batch"}
    file = client.post("/api/v1/files", data=data).json
    del images, data
    tracemalloc.start()
    body = {"input_file_id": file["id"], "defaults": {"question": "?!"}}
    assert client.post("/api/v1/batches", json=body).status_code == 202
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file["file_size"] > 80_000_000
    assert peak < 20_000_000


def test_sample_photos_in_an_archive_are_answered_by_the_workers(quick, tmp_path):
    session = quick.session()
    samples = draw_samples(tmp_path)[:6]
    content = zipped([(f"shop/{sample.path.name}", sample.path.read_bytes()) for sample in samples])
    file = session.post(
        f"{quick.url}/api/v1/files",
        files={"file": ("p.zip", content)},
        data={"purpose": "batch"},
        timeout=30,
    ).json()
    body = {"input_file_id": file["id"], "defaults": {"question": "What colour is it?"}}
    batch = session.post(f"{quick.url}/api/v1/batches", json=body, timeout=30).json()
    url = f"{quick.url}/api/v1/batches/{batch['id']}"

    def done():
        return session.get(url, timeout=10).json()["status"] == "completed"

    quick.wait_for(done)
    rows = session.get(f"{url}/results", timeout=10).json()["data"]
    assert [row["custom_id"] for row in rows] == sorted(f"shop/{sample.path.name}" for sample in samples)
    assert all(row["status"] == "completed" and row["answer"] for row in rows)

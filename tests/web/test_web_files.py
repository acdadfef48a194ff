"""Files: what comes back is what was sent, nobody else sees it, and nothing goes that is still used."""

import contextlib
import http.client
import io
import os
import re
import socket
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import requests
from sqlalchemy import delete, func, select, update
from waiting import wait_until
from webprocess import WebProcess

from core.errors import Unavailable
from core.models import Analysis, Blob, File
from core.services import files
from core.services.keys import Scope
from webapp.app import create_app
from webapp.uploads import Spool

FILES = "/api/v1/files"
JSONL = b'{"custom_id": "1"}\n{"custom_id": "2"}\n'


def upload(client, content, name="input.jsonl", purpose="batch", **fields):
    data = {"file": (io.BytesIO(content), name), "purpose": purpose, **fields}
    return client.post(FILES, data=data)


def kept(client, *arguments, **options):
    answer = upload(client, *arguments, **options)
    assert answer.status_code == 201, answer.text
    return answer.json


def content_of(client, file, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"{FILES}/{file['id']}/content", headers=headers)


def count(desk, account_id):
    with desk.database.transaction() as session:
        return session.scalar(select(func.count()).select_from(File).where(File.account_id == account_id))


def run_out(desk, file):
    """Let the time of a file be up."""
    with desk.database.transaction() as session:
        session.execute(update(File).where(File.id == file["id"]).values(expires_at=func.now()))


def signed_in(app, secret):
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def opening(name="input.jsonl"):
    """A multipart body up to where the bytes of the file begin."""
    return (
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    ).encode()


CLOSING = b"\r\n--b--\r\n"


@pytest.fixture
def other(app, new_key):
    """A client of another account."""
    return signed_in(app, new_key().secret)


@pytest.fixture
def limited(settings, desk, key):
    """A client of an app that takes 2,000 bytes, of an image 1,000."""
    small = replace(settings, max_upload_size=2_000, max_file_size=1_000)
    return signed_in(create_app(small, replace(desk, settings=small)), key.secret)


def test_an_upload_is_a_file_that_can_be_looked_at_listed_and_downloaded(client, photo):
    content = photo("teal")
    answer = upload(client, content, "shoe.jpg", "vision")
    assert answer.status_code == 201
    assert answer.json == {
        "id": answer.json["id"],
        "object": "file",
        "file_name": "shoe.jpg",
        "file_size": len(content),
        "media_type": "image/jpeg",
        "sha256": answer.json["sha256"],
        "purpose": "vision",
        "created_at": answer.json["created_at"],
        "expires_at": None,
    }
    assert client.get(answer.headers["Location"]).json == answer.json
    assert client.get(FILES).json["data"] == [answer.json]
    whole = content_of(client, answer.json)
    assert (whole.status_code, whole.data) == (200, content)
    assert whole.headers["Content-Type"] == "image/jpeg"
    assert whole.headers["Content-Length"] == str(len(content))
    assert whole.headers["X-Content-Type-Options"] == "nosniff"


def test_without_a_purpose_a_file_is_an_image_for_vision(client, photo):
    answer = client.post(FILES, data={"file": (io.BytesIO(photo()), "p.jpg")})
    assert (answer.status_code, answer.json["purpose"]) == (201, "vision")


def test_an_uploaded_image_serves_any_number_of_analyses_and_a_batch_input_none(client, photo):
    image = kept(client, photo(), "p.jpg", "vision")
    for _ in range(2):
        body = {"question": "?!", "images": [{"file_id": image["id"]}]}
        answer = client.post("/api/v1/analyses", json=body)
        assert (answer.status_code, answer.json["images"][0]["sha256"]) == (202, image["sha256"])
    body = {"question": "?!", "images": [{"file_id": kept(client, JSONL)["id"]}]}
    refused = client.post("/api/v1/analyses", json=body)
    assert (refused.status_code, refused.json["error_code"]) == (400, "invalid_image")
    assert "not for images" in refused.json["error"]


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        content.writestr("a.txt", "hello")
    return buffer.getvalue()


INPUTS = {
    "jsonl": (JSONL, "application/jsonl"),
    "jsonl behind a BOM and blank lines": (b"\xef\xbb\xbf\r\n \t\n" + JSONL, "application/jsonl"),
    "csv": (b"sku,image\n1,a.jpg\n", "text/csv"),
    "csv with a BOM and CRLF": (b"\xef\xbb\xbfsku,image\r\n1,a.jpg\r\n", "text/csv"),
    "csv in Korean": ("이름,사진\n신발,a.jpg\n".encode(), "text/csv"),
    "csv with a row in Latin-1": (b"sku,name\n1,Gr\xf6\xdfe\n", "text/csv"),
    "jsonl in Latin-1": (b'{"name": "Gr\xf6\xdfe"}\n', "application/jsonl"),
    "csv that begins like a bitmap": (b"BMW,image\n1,a.jpg\n", "text/csv"),
    "csv cut within a character by the look at it": (b"x" * 65_535 + "é\n".encode(), "text/csv"),
    "zip": (archive(), "application/zip"),
}


@pytest.mark.parametrize("case", INPUTS)
@pytest.mark.parametrize("name", ["input.bin", "photo.jpg", ""])
def test_the_input_of_a_batch_is_known_by_its_bytes_whatever_it_is_called(client, case, name):
    content, media_type = INPUTS[case]
    file = kept(client, content, name or "\u200b")
    assert (file["media_type"], file["purpose"]) == (media_type, "batch")
    assert content_of(client, file).data == content


REFUSED = {
    "an image for a batch": ("photo", "p.jpg", "batch", "purpose 'vision'"),
    "text for vision": (b"sku,image\n", "input.csv", "vision", "purpose 'batch'"),
    "text named as an image for vision": (JSONL, "p.jpg", "vision", "is text; images that are taken are"),
    "an archive for vision": (archive(), "p.zip", "vision", "purpose 'batch'"),
    "an SVG for vision": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "p.png", "vision", "SVG"),
    "an unknown purpose": ("photo", "p.jpg", "assistants", "purpose"),
    "the purpose that only analyses give": ("photo", "p.jpg", "analysis", "purpose"),
    "nothing for vision": (b"", "p.jpg", "vision", "empty"),
    "nothing for a batch": (b"", "input.csv", "batch", "empty"),
    "a header in Latin-1": (b"Gr\xf6\xdfe,name\n", "input.csv", "batch", "UTF-8"),
    "a JSON array": (b'\xef\xbb\xbf [\n{"image": "x"}]', "input.jsonl", "batch", "one object per line"),
    "a web page": (b"<!DOCTYPE html><p>Sign in</p>", "input.csv", "batch", "an HTML page"),
    "UTF-16": ("sku,name\n".encode("utf-16"), "input.csv", "batch", "UTF-8"),
    "UTF-16 without a mark": ("sku,name\n".encode("utf-16-le"), "input.csv", "batch", "UTF-8"),
    "blanks": (b"\xef\xbb\xbf \r\n\t\n", "input.csv", "batch", "JSONL"),
    "an empty archive": (b"PK\5\6" + b"\0" * 18, "input.zip", "batch", "ZIP"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "input.pdf", "batch", "CSV"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_its_purpose_is_refused_with_what_to_do_and_leaves_nothing(
    client, key, desk, photo, case
):
    content, name, purpose, says = REFUSED[case]
    answer = upload(client, photo() if content == "photo" else content, name, purpose)
    assert answer.status_code == 400
    assert says in answer.json["error"]
    assert count(desk, key.key.account_id) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_after": "3599"},
        {"expires_after": "2592001"},
        {"expires_after": "soon"},
        {"color": "red"},
        {"file": "text"},
        {"file": [(io.BytesIO(JSONL), "a"), (io.BytesIO(JSONL), "b")]},
    ],
)
def test_a_form_that_is_wrong_is_a_400_that_names_the_field(client, key, desk, fields):
    data = {"file": (io.BytesIO(JSONL), "input.jsonl"), "purpose": "batch", **fields}
    answer = client.post(FILES, data=data, content_type="multipart/form-data")
    assert answer.status_code == 400
    assert next(iter(fields)) in answer.json["error"]
    assert count(desk, key.key.account_id) == 0


def test_other_bodies_are_a_415_and_a_form_without_a_file_a_400(client):
    assert client.post(FILES, json={"purpose": "batch"}).status_code == 415
    assert client.post(FILES).status_code == 415
    answer = client.post(FILES, data={"purpose": "batch"}, content_type="multipart/form-data")
    assert (answer.status_code, "file" in answer.json["error"]) == (400, True)


def test_a_file_may_be_exactly_as_large_as_the_limit_and_not_one_byte_larger(limited, key, desk):
    assert upload(limited, b"x" * 2_000).status_code == 201
    answer = upload(limited, b"x" * 2_001)
    assert (answer.status_code, answer.json["error_code"]) == (413, "file_too_large")
    assert upload(limited, b"x" * 100_000).status_code == 413
    assert count(desk, key.key.account_id) == 1


def test_an_image_keeps_to_the_limit_of_images(limited, key, desk, photo):
    image = photo(size=(8, 8))
    for size, status in ((1_000, 201), (1_001, 413)):
        answer = upload(limited, image + b"\0" * (size - len(image)), "p.jpg", "vision")
        assert answer.status_code == status
    assert answer.json["details"]["limit"] == 1_000
    assert count(desk, key.key.account_id) == 1


def fill(spool):
    spool.write(b"x")
    spool.seek(0)


@pytest.mark.parametrize("buffering", [0, 8_192])
def test_a_full_disk_is_unavailable_and_no_bug(buffering):
    """Told at once, or when what is buffered is to be written."""
    spool = Spool(1_000_000)
    spool._file = Path("/dev/full").open("wb", buffering)  # noqa: SIM115 - it fails to close
    with pytest.raises(Unavailable):
        fill(spool)
    with contextlib.suppress(OSError):
        spool._file.close()


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\input.csv": "input.csv",
    "신발 목록.csv": "신발 목록.csv",
    "Cafe\u0301.csv": "Caf\u00e9.csv",
    "a\u202evsc.exe": "avsc.exe",
    "\u200b\u2066": "unnamed",
    "..": "unnamed",
    "😀.csv": "😀.csv",
    "line\r\nSet-Cookie: a=b": "lineSet-Cookie: a=b",
    "a\0b.csv": "ab.csv",
    'say "hi"; filename=x.csv': 'say "hi"; filename=x.csv',
    "100%.csv": "100%.csv",
    "x" * 300 + ".csv": "x" * 251 + ".csv",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_for_showing_and_comes_back_as_one_safe_header(client, name):
    encoded = opening("%").replace(b'filename="%"', f"filename*=UTF-8''{quote(name, safe='')}".encode())
    body = encoded + JSONL + CLOSING
    file = client.post(FILES, data=body, content_type="multipart/form-data; boundary=b").json
    assert file["file_name"] == NAMES[name]
    header = content_of(client, file).headers["Content-Disposition"]
    assert re.fullmatch(
        r"attachment; filename=\"[ !#-\[\]-~]*\"; filename\*=UTF-8''[\w!#$&+.^`|~%-]+", header
    )
    assert unquote(header.rpartition("''")[2]) == NAMES[name]


def test_pages_show_every_file_once_the_newest_first_and_purposes_apart(client, photo):
    made = [kept(client, JSONL + b"%d" % number)["id"] for number in range(5)]
    image = kept(client, photo(), "p.jpg", "vision")["id"]
    data = {"file": (io.BytesIO(photo()), "p.jpg"), "question": "?!"}
    came_along = client.post("/api/v1/analyses", data=data).json["images"][0]["file_id"]
    seen, cursor = [], {}
    while True:
        page = client.get(FILES, query_string={"limit": 2, "purpose": "batch"} | cursor).json
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == made[::-1]
    assert page["next_cursor"] is None
    for purpose, file_id in (("vision", image), ("analysis", came_along)):
        found = client.get(f"{FILES}?purpose={purpose}").json["data"]
        assert [row["id"] for row in found] == [file_id]


@pytest.mark.parametrize(
    "query", ["limit=0", "cursor=an_01kaj3c0dpw8w0z3f6s9q2xk7v", "purpose=x", "order=asc"]
)
def test_a_query_that_makes_no_sense_is_a_400(client, query):
    answer = client.get(f"{FILES}?{query}")
    assert (answer.status_code, query.split("=")[0] in answer.json["error"]) == (400, True)


def test_another_account_finds_nothing_and_can_use_nothing(client, other, photo):
    file = kept(client, photo("salmon"), "p.jpg", "vision")
    for answer in (
        other.get(f"{FILES}/{file['id']}"),
        content_of(other, file),
        content_of(other, file, If_None_Match=f'"{file["sha256"]}"'),
        other.delete(f"{FILES}/{file['id']}"),
    ):
        assert (answer.status_code, answer.json["error_code"]) == (404, "not_found")
    assert other.get(FILES).json["data"] == []
    stolen = {"question": "?!", "images": [{"file_id": file["id"]}]}
    assert other.post("/api/v1/analyses", json=stolen).status_code == 404
    assert other.get(f"{FILES}?cursor={file['id']}").json["data"] == []
    assert client.get(f"{FILES}/{file['id']}").status_code == 200


def test_reading_and_writing_are_scopes_of_their_own(app, new_key):
    writer = new_key(scopes=frozenset({Scope.WRITE}))
    reader = signed_in(app, new_key(scopes=frozenset({Scope.READ})).secret)
    nobody, writer = app.test_client(), signed_in(app, writer.secret)
    file = kept(writer, JSONL)
    place = f"{FILES}/{file['id']}"
    assert [client.get(place).status_code for client in (writer, reader, nobody)] == [403, 404, 401]
    assert [content_of(client, file).status_code for client in (writer, reader, nobody)] == [403, 404, 401]
    assert [client.get(FILES).status_code for client in (writer, reader, nobody)] == [403, 200, 401]
    assert [client.delete(place).status_code for client in (nobody, reader, writer)] == [401, 403, 200]
    assert [upload(client, JSONL).status_code for client in (reader, nobody)] == [403, 401]


LETTERS = b'{"0123456789": "abcdefghij"}'
SIZE = len(LETTERS)
RANGES = {
    "bytes=0-4": (206, LETTERS[:5], f"bytes 0-4/{SIZE}"),
    "bytes=5-5": (206, LETTERS[5:6], f"bytes 5-5/{SIZE}"),
    "bytes=20-": (206, LETTERS[20:], f"bytes 20-{SIZE - 1}/{SIZE}"),
    "bytes=-3": (206, LETTERS[-3:], f"bytes {SIZE - 3}-{SIZE - 1}/{SIZE}"),
    "bytes=0-999": (206, LETTERS, f"bytes 0-{SIZE - 1}/{SIZE}"),
    "bytes=-999": (206, LETTERS, f"bytes 0-{SIZE - 1}/{SIZE}"),
    f"bytes={SIZE}-": (416, None, f"bytes */{SIZE}"),
    f"bytes={10**30}-": (416, None, f"bytes */{SIZE}"),
    # Whatever is not one range of bytes is left aside.
    "bytes=5-2": (200, LETTERS, None),
    "bytes=0-1,4-5": (200, LETTERS, None),
    "bytes=x-y": (200, LETTERS, None),
    "lines=0-1": (200, LETTERS, None),
    "nonsense": (200, LETTERS, None),
}


@pytest.mark.parametrize("asked", RANGES)
def test_a_range_is_answered_as_http_says(client, asked):
    status, content, says = RANGES[asked]
    answer = content_of(client, kept(client, LETTERS), Range=asked)
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, says)
    if status == 416:
        assert answer.json["error_code"] == "range_not_satisfiable"
    else:
        assert answer.data == content
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["Accept-Ranges"] == "bytes"


def test_ranges_across_the_pieces_of_a_large_file_fit_together(client):
    content = b'{"a": 1}\n' * 300_000
    file = kept(client, content)
    edge = 2**20
    for start, end in ((0, edge), (edge - 1, edge + 1), (edge, 2 * edge), (1, len(content))):
        answer = content_of(client, file, Range=f"bytes={start}-{end - 1}")
        assert answer.data == content[start:end]


def test_who_has_the_bytes_already_gets_none(client):
    file = kept(client, LETTERS)
    first = content_of(client, file)
    assert first.headers["ETag"] == f'"{file["sha256"]}"'
    for known in (first.headers["ETag"], f'"x", W/{first.headers["ETag"]}', "*"):
        answer = content_of(client, file, If_None_Match=known, Range="bytes=0-1")
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["ETag"] == first.headers["ETag"]
    assert content_of(client, file, If_None_Match='"other"').status_code == 200


def test_a_download_goes_on_only_with_the_bytes_that_it_began_with(client):
    file = kept(client, LETTERS)
    same = content_of(client, file, Range="bytes=5-", If_Range=f'"{file["sha256"]}"')
    assert (same.status_code, same.data) == (206, LETTERS[5:])
    for stale in ('"other"', "Wed, 21 Oct 2026 07:28:00 GMT", "nonsense"):
        assert content_of(client, file, Range="bytes=5-", If_Range=stale).status_code == 200


def test_a_head_tells_how_long_the_file_is_without_its_bytes(client):
    answer = client.head(f"{FILES}/{kept(client, LETTERS)['id']}/content")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(SIZE)


def test_bytes_that_are_gone_from_the_store_are_a_404_and_not_a_broken_answer(client, desk):
    file = kept(client, b'{"gone": true}')
    desk.blobs.delete(file["sha256"])
    assert content_of(client, file).status_code == 404


def test_a_file_that_items_use_is_kept_and_the_batch_to_delete_is_named(client, photo):
    file = kept(client, photo("olive"), "p.jpg", "vision")
    place, inputs = f"{FILES}/{file['id']}", [{"image": file["id"], "question": "?!"}] * 2

    def refused():
        answer = client.delete(place)
        assert (answer.status_code, answer.json["error_code"]) == (409, "conflict")
        return answer.json

    first = client.post("/api/v1/batches", json={"inputs": inputs}).json["id"]
    told = refused()
    assert f"Batch {first} uses this file: delete the batch first when it is finished." in told["error"]
    item = told["details"].pop("analysis_id")
    assert client.get(f"/api/v1/analyses/{item}").json["id"] == item
    assert told["details"] == {"analyses": 2, "unfinished": 2, "batches": 1, "batch_id": first}
    client.post("/api/v1/batches", json={"inputs": inputs})
    assert f"2 batches use this file, such as {first}: delete them first." in refused()["error"]


def test_a_deleted_file_is_gone_and_its_bytes_follow_unless_another_has_them(client, other, desk):
    content = b'{"deleted": "soon"}'
    mine, theirs = kept(client, content), kept(other, content)
    for client_, file, bytes_left in ((client, mine, True), (other, theirs, False)):
        answer = client_.delete(f"{FILES}/{file['id']}")
        assert (answer.status_code, answer.json) == (
            200,
            {"id": file["id"], "object": "file", "deleted": True},
        )
        for again in (client_.get(f"{FILES}/{file['id']}"), client_.delete(f"{FILES}/{file['id']}")):
            assert again.status_code == 404
        with desk.database.transaction() as session:
            old = {"touched_at": func.now() - files.ABANDONED_AFTER * 2}
            session.execute(update(Blob).where(Blob.digest == file["sha256"]).values(old))
        files.collect_abandoned(desk)
        assert desk.blobs._has(file["sha256"]) is bytes_left


def test_a_file_that_an_analysis_uses_stays_until_the_analysis_which_is_named_is_deleted(client, photo):
    file = kept(client, photo("olive"), "p.jpg", "vision")
    place = f"{FILES}/{file['id']}"
    body = {"question": "?!", "images": [{"file_id": file["id"]}] * 2}
    made = [client.post("/api/v1/analyses", json=body).json["id"] for _ in range(2)]
    says = [
        f"2 unfinished analyses need this file, such as {made[0]}",
        f"Analysis {made[1]} needs this file",
        f"2 analyses use this file, such as {made[0]}",
        f"Analysis {made[1]} uses this file",
    ]

    def refused():
        answer = client.delete(place)
        assert (answer.status_code, answer.json["error_code"]) == (409, "conflict")
        assert says.pop(0) in answer.json["error"]

    refused()
    for analysis_id in made:
        client.post(f"/api/v1/analyses/{analysis_id}/cancel")
        refused()
    assert len(client.get("/api/v1/analyses").json["data"]) == 2
    client.delete(f"/api/v1/analyses/{made[0]}")
    refused()
    client.delete(f"/api/v1/analyses/{made[1]}")
    assert client.get(place).status_code == 200  # it did not come with them, so it does not go with them
    assert client.delete(place).status_code == 200


def test_deleting_and_using_a_file_at_once_never_breaks_an_analysis(app, key, client, photo):
    """Either the submission is refused, or its file is there."""
    for _ in range(8):
        file = kept(client, photo("indigo"), "p.jpg", "vision")
        body = {"question": "?!", "images": [{"file_id": file["id"]}]}
        with ThreadPoolExecutor(2) as pool:
            submitted = pool.submit(
                lambda body=body: signed_in(app, key.secret).post("/api/v1/analyses", json=body)
            )
            deleted = pool.submit(
                lambda file=file: signed_in(app, key.secret).delete(f"{FILES}/{file['id']}")
            )
        assert (submitted.result().status_code, deleted.result().status_code) in {(202, 409), (404, 200)}


def test_the_same_bytes_sent_twice_at_once_are_two_files_and_stored_once(app, key, desk):
    content = os.urandom(8).hex().encode() * 500_000
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(lambda: kept(signed_in(app, key.secret), content)) for _ in range(6)]
    made = [answer.result() for answer in sent]
    assert len({file["id"] for file in made}) == 6
    [digest] = {file["sha256"] for file in made}
    with desk.database.transaction() as session:
        assert session.scalar(select(func.count()).where(Blob.digest == digest)) == 1
    folder = Path(desk.settings.storage_url.removeprefix("file://"))
    assert [path.name for path in folder.glob(f"{digest[:2]}/{digest[2:4]}/*")] == [digest]
    assert content_of(signed_in(app, key.secret), made[0]).data == content


def test_a_file_may_expire_and_is_then_gone_for_everyone(client, desk, photo):
    files.expire(desk)  # what other tests left
    file = kept(client, photo("khaki"), "p.jpg", "vision", expires_after="3600")
    with desk.database.transaction() as session:
        row = session.get(File, file["id"])
        assert 3_590 < (row.expires_at - row.created_at).total_seconds() <= 3_601
    assert file["expires_at"] is not None
    assert files.expire(desk) == 0
    run_out(desk, file)
    place = f"{FILES}/{file['id']}"
    answers = client.get(place), content_of(client, file), client.delete(place)
    assert [answer.status_code for answer in answers] == [404] * 3
    assert client.get(FILES).json["data"] == []
    body = {"question": "?!", "images": [{"file_id": file["id"]}]}
    assert client.post("/api/v1/analyses", json=body).status_code == 404
    assert files.expire(desk) == 1
    with desk.database.transaction() as session:
        assert session.get(File, file["id"]) is None


def test_an_expired_file_is_removed_only_when_no_analysis_uses_it(client, desk, photo):
    files.expire(desk)
    file = kept(client, photo("plum"), "p.jpg", "vision", expires_after="3600")
    body = {"question": "?!", "images": [{"file_id": file["id"]}]}
    analysis = client.post("/api/v1/analyses", json=body).json
    run_out(desk, file)
    assert files.expire(desk) == 0
    assert client.get(f"/api/v1/analyses/{analysis['id']}").json["images"][0]["file_name"] == "p.jpg"
    with desk.database.transaction() as session:
        session.execute(delete(Analysis).where(Analysis.id == analysis["id"]))
    assert files.expire(desk) == 1


def test_expiring_goes_in_steps_and_passes_over_what_others_hold(client, desk):
    made = [kept(client, JSONL, expires_after="3600") for _ in range(3)]
    for file in made:
        run_out(desk, file)
    with desk.database.transaction() as session:
        session.execute(select(File.id).where(File.id == made[0]["id"]).with_for_update())
        assert [files.expire(desk, limit=1) for _ in range(3)] == [1, 1, 0]
    assert files.expire(desk, limit=1) == 1


# Over real sockets, with one real process.


@pytest.fixture(scope="module")
def server(environment, folder):
    process = WebProcess(environment, folder)
    yield process
    process.stop()


def send_large(port, secret, size):
    line = b'{"custom_id": "' + b"x" * 1_000 + b'"}\n'
    chunk = line * 256
    whole, rest = divmod(size, len(chunk))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", FILES)
    connection.putheader("Authorization", f"Bearer {secret}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(len(opening()) + size + len(CLOSING)))
    connection.endheaders(opening())
    for _ in range(whole):
        connection.send(chunk)
    connection.send(chunk[:rest] + CLOSING)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 201, body
    return requests.models.complexjson.loads(body)


def read_large(port, secret, file):
    headers = {"Authorization": f"Bearer {secret}"}
    place = f"http://127.0.0.1:{port}{FILES}/{file['id']}/content"
    with requests.get(place, headers=headers, stream=True, timeout=60) as answer:
        return sum(len(chunk) for chunk in answer.iter_content(2**20))


def test_memory_stays_flat_while_sixty_megabytes_go_in_and_out(server, key):
    port = server.port
    size, flat = 60_000_000, 24_000_000
    read_large(port, key.secret, send_large(port, key.secret, 1_000))  # whatever is made on first use
    file, rise_in = server.most_memory_during(lambda: send_large(port, key.secret, size))
    length, rise_out = server.most_memory_during(lambda: read_large(port, key.secret, file))
    assert (file["file_size"], length) == (size, size)
    assert (rise_in < flat, rise_out < flat) == (True, True), (rise_in, rise_out)


def test_an_upload_that_breaks_off_leaves_nothing(server, key, desk, folder):
    port = server.port
    head = (
        f"POST {FILES} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
        f"Authorization: Bearer {key.secret}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    mark = os.urandom(8).hex().encode()

    def blobs():
        place = Path(desk.settings.storage_url.removeprefix("file://"))
        return {path for path in place.rglob("*") if path.is_file()}

    before = blobs()
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(head.encode() + opening() + mark * 100_000)
        wait_until(server.spools)  # it has gone to disk
    wait_until(lambda: not server.spools())
    assert blobs() == before
    assert count(desk, key.key.account_id) == 0


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_is_sent(server, key):
    port = server.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", FILES)
    connection.putheader("Authorization", f"Bearer {key.secret}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", "200000000")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"file_too_large" in answer.read()) == (413, True)

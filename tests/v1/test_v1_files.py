"""/v1/files with the unmodified SDK: the rows of the native API in the other API's shape."""

import time

import openai
import pytest

JSONL = b'{"custom_id": "1"}\n'
BYTES = b"\0\1 anything at all"


def made(sdk, content=JSONL, name="input.jsonl", purpose="batch", **more):
    return sdk.files.create(file=(name, content), purpose=purpose, **more)


@pytest.mark.parametrize("purpose", ["batch", "user_data", "assistants", "evals", "fine-tune"])
def test_a_file_of_every_purpose_comes_back_as_it_was_sent(sdk, purpose):
    content = JSONL if purpose == "batch" else BYTES
    file = made(sdk, content, "a.bin", purpose)
    assert (file.purpose, file.bytes, file.filename, file.object) == (purpose, len(content), "a.bin", "file")
    assert file.expires_at is None
    assert "expires_at" not in file.model_dump(exclude_unset=True)
    assert sdk.files.retrieve(file.id) == file
    assert sdk.files.content(file.id).read() == content


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.txt", b"abc", "text/plain"),
        ("notes", "Größe\n".encode(), "text/plain"),
        ("a.CSV", b"sku,name\n", "text/csv"),
        ("a.txt", JSONL, "application/jsonl"),
        ("a.txt", BYTES, "application/octet-stream"),
    ],
)
def test_text_is_plain_unless_it_is_json_lines_or_named_as_csv(sdk, name, content, media_type):
    file = made(sdk, content, name, "user_data")
    answer = sdk.files.content(file.id)
    assert (answer.response.headers["Content-Type"].partition(";")[0], answer.read()) == (media_type, content)


def test_an_image_is_the_same_file_on_both_faces(live, sdk, photo):
    file = made(sdk, photo("teal"), "shoe.jpg", "vision")
    native = live.session(sdk.api_key).get(f"{live.url}/api/v1/files/{file.id}", timeout=20).json()
    assert (native["file_name"], native["media_type"], native["purpose"]) == (
        "shoe.jpg",
        "image/jpeg",
        "vision",
    )


@pytest.mark.parametrize("seconds", [3_600, 2_592_000])
def test_a_file_expires_as_long_after_its_making_as_it_was_told(sdk, seconds):
    file = made(sdk, expires_after={"anchor": "created_at", "seconds": seconds})
    assert abs(file.expires_at - file.created_at - seconds) <= 1
    assert abs(file.created_at - time.time()) < 600


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"purpose": "fun"}, "purpose"),
        ({"purpose": "analysis"}, "purpose"),
        ({"purpose": "vision"}, "purpose"),
        ({"content": b""}, "file"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3_599}}, "expires_after"),
        ({"expires_after": {"anchor": "created_at", "seconds": 2_592_001}}, "expires_after"),
        ({"expires_after": {"anchor": "last_active_at", "seconds": 3_600}}, "expires_after"),
        ({"expires_after": {"seconds": 3_600}}, "expires_after"),
    ],
)
def test_what_is_wrong_is_a_bad_request_that_names_the_parameter(sdk, wrong, param):
    with pytest.raises(openai.BadRequestError) as refused:
        made(sdk, **wrong)
    assert param in refused.value.param
    assert refused.value.type == "invalid_request_error"


def test_listings_see_each_file_once_in_either_order_and_purposes_apart(sdk):
    batch = [made(sdk, JSONL + b"%d" % number).id for number in range(5)]
    other = made(sdk, BYTES, "b.bin", "user_data").id
    assert [file.id for file in sdk.files.list(limit=2)] == [other, *batch[::-1]]
    assert [file.id for file in sdk.files.list(limit=2, order="asc")] == [*batch, other]
    assert [file.id for file in sdk.files.list(purpose="user_data")] == [other]
    assert list(sdk.files.list(purpose="batch_output")) == []
    assert [file.id for file in sdk.files.list(after=batch[1], limit=10_000)] == [batch[0]]


def test_a_listing_goes_on_behind_a_file_that_was_deleted_meanwhile(sdk):
    ids = [made(sdk, JSONL + b"%d" % number).id for number in range(3)]
    page = sdk.files.list(limit=2)
    assert sdk.files.delete(page.data[-1].id).deleted
    assert [file.id for file in page.get_next_page().data] == [ids[0]]


@pytest.mark.parametrize(
    ("limit", "code"), [(10_001, "integer_above_max_value"), (0, "integer_below_min_value")]
)
def test_a_page_beyond_its_limits_is_refused_with_the_code_of_that_api(sdk, limit, code):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.files.list(limit=limit)
    assert (refused.value.code, refused.value.param) == (code, "limit")


def test_a_deleted_file_and_another_accounts_are_not_found(sdk, new_sdk):
    file, stranger = made(sdk), new_sdk()
    for act in (stranger.files.retrieve, stranger.files.delete, stranger.files.content):
        with pytest.raises(openai.NotFoundError):
            act(file.id)
    assert sdk.files.delete(file.id).model_dump() == {"id": file.id, "object": "file", "deleted": True}
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(file.id)
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve("file-abc123")


def test_reading_needs_its_scope_and_everything_a_key(live, new_sdk):
    reader = new_sdk(scopes=frozenset({"read"}))
    with pytest.raises(openai.PermissionDeniedError):
        made(reader)
    nobody = reader.with_options(api_key="vt_wrong")
    with pytest.raises(openai.AuthenticationError):
        nobody.files.list()

"""/v1/batches with the unmodified SDK: upload, run, poll, download."""

import base64
import json
from datetime import timedelta

import openai
import pytest
from line_client import awaited, created, jsonl, line, lines_of, uploaded
from sqlalchemy import func, select, update

from core.models import Analysis, Batch


def paused(live, sdk, batch):
    """A batch that does not go on by itself."""
    assert live.session(sdk.api_key).post(f"{live.url}/api/v1/batches/{batch.id}/pause", timeout=20).ok


def test_a_batch_is_uploaded_run_polled_and_downloaded(quick, sdk, photo):
    rows = [line(f"shoe-{number}", image=photo(color)) for number, color in enumerate(["red", "teal"])]
    batch = created(sdk, jsonl(*rows), metadata={"season": "winter"})
    assert (batch.object, batch.endpoint, batch.completion_window) == (
        "batch",
        "/v1/chat/completions",
        "24h",
    )
    assert batch.status == "in_progress"
    assert batch.expires_at - batch.created_at == 86_400
    done = awaited(quick, sdk, batch)
    assert (done.status, done.metadata) == ("completed", {"season": "winter"})
    assert done.request_counts.model_dump() == {"total": 2, "completed": 2, "failed": 0}
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    said = done.model_dump(exclude_unset=True)
    assert [said[name] for name in ("errors", "error_file_id", "failed_at", "cancelled_at")] == [None] * 4
    results = lines_of(sdk, done.output_file_id)
    assert [result["custom_id"] for result in results] == ["shoe-0", "shoe-1"]
    assert len({result["id"] for result in results}) == 2
    for result, color in zip(results, ["red", "teal"], strict=True):
        assert (result["error"], result["response"]["status_code"]) == (None, 200)
        answer = openai.types.chat.ChatCompletion.model_validate(result["response"]["body"])
        assert color in answer.choices[0].message.content
    usage = [result["response"]["body"]["usage"] for result in results]
    assert done.usage.total_tokens == sum(one["total_tokens"] for one in usage)
    assert done.usage.input_tokens == sum(one["prompt_tokens"] for one in usage)


def test_the_output_is_a_file_that_can_be_looked_at_but_goes_only_with_its_batch(quick, sdk):
    done = awaited(quick, sdk, created(sdk, jsonl(line("a"))))
    file = sdk.files.retrieve(done.output_file_id)
    assert (file.purpose, file.bytes) == ("batch_output", len(sdk.files.content(file.id).read()))
    with pytest.raises(openai.ConflictError):
        sdk.files.delete(file.id)
    assert quick.session(sdk.api_key).delete(f"{quick.url}/api/v1/batches/{done.id}", timeout=20).ok
    with pytest.raises(openai.NotFoundError):
        sdk.files.content(file.id)


def test_a_batch_of_lines_is_a_batch_of_analyses_to_the_native_api(quick, sdk):
    done = awaited(quick, sdk, created(sdk, jsonl(line("a"), line("b"))))
    native, url = quick.session(sdk.api_key), f"{quick.url}/api/v1/batches/{done.id}"
    seen = native.get(url, timeout=20).json()
    assert (seen["status"], seen["counts"]["completed"]) == ("completed", 2)
    items = native.get(f"{url}/results", timeout=20).json()["data"]
    assert [item["custom_id"] for item in items] == ["a", "b"]


def test_lines_that_name_uploaded_images_need_not_hold_them(quick, sdk, photo):
    image = sdk.files.create(file=("a.jpg", photo("teal")), purpose="vision").id
    parts = [{"type": "image_url", "image_url": {"file_id": image}}]
    batch = created(sdk, jsonl(line("a", messages=[{"role": "user", "content": parts}])))
    done = awaited(quick, sdk, batch)
    assert "teal" in json.dumps(lines_of(sdk, done.output_file_id))


GOOD = line("good")
BAD = {
    "{broken": ("invalid_json_line", None),
    "[1]": ("invalid_json_line", None),
    json.dumps({key: value for key, value in GOOD.items() if key != "custom_id"}): (
        "missing_required_parameter",
        "custom_id",
    ),
    json.dumps({**GOOD, "custom_id": "b", "body": None}): ("missing_required_parameter", "body"),
    json.dumps(GOOD): ("duplicate_custom_id", "custom_id"),
    json.dumps(line("c", stream=True)): ("streaming_unsupported", "body.stream"),
    json.dumps({**GOOD, "custom_id": "d", "url": "/v1/embeddings"}): ("invalid_url", "url"),
    json.dumps({**GOOD, "custom_id": "e", "method": "GET"}): ("invalid_method", "method"),
    json.dumps(line("f", model="gpt-0")): ("model_not_found", "model"),
    json.dumps(line("g", messages=[])): ("invalid_request", "messages"),
    json.dumps({**GOOD, "custom_id": 7}): ("invalid_type", "custom_id"),
    json.dumps({**GOOD, "custom_id": "x" * 129}): ("invalid_custom_id", "custom_id"),
}


def test_every_bad_line_is_told_and_nothing_is_run(quick, sdk):
    batch = created(sdk, jsonl(GOOD, *BAD))
    assert batch.status == "failed"
    assert batch.request_counts.total == 0
    assert batch.errors.object == "list"
    told = [(error.line, error.code, error.param) for error in batch.errors.data]
    assert told == [(number, *what) for number, what in enumerate(BAD.values(), 2)]
    assert all(error.message for error in batch.errors.data)
    assert sdk.batches.retrieve(batch.id) == batch
    assert batch.failed_at
    assert quick.analyst.ledger()["calls"] == []
    with pytest.raises(openai.ConflictError) as refused:
        sdk.batches.cancel(batch.id)
    assert refused.value.response.headers["x-should-retry"] == "false"
    native = quick.session(sdk.api_key).get(f"{quick.url}/api/v1/batches/{batch.id}", timeout=20).json()
    assert (native["status"], native["counts"]["total"]) == ("failed", 0)


def test_what_a_hostile_line_says_is_told_short_and_storable(sdk):
    calls = [{"id": "\0\ud800" + "x" * 10_000, "type": "function", "function": {}}]
    messages = [{"role": "assistant", "tool_calls": calls}, {"role": "user", "content": "?"}]
    batch = created(sdk, jsonl(line("a", messages=messages), line("b", model="\0" * 10_000)))
    assert [error.code for error in batch.errors.data] == ["invalid_tool_call", "model_not_found"]
    assert all(len(error.message) <= 500 for error in batch.errors.data)


def test_a_line_that_is_too_long_is_told_and_those_behind_it_are_read(sdk):
    batch = created(sdk, jsonl(GOOD, line("long", text="x" * 20_000_000), "{bad"))
    told = [(error.line, error.code) for error in batch.errors.data]
    assert told == [(2, "line_too_long"), (3, "invalid_json_line")]


def test_of_very_many_bad_lines_the_first_thousand_are_told_and_how_many_more(sdk):
    batch = created(sdk, b"{\n" * 1_500)
    *told, last = batch.errors.data
    assert [error.line for error in told] == list(range(1, 1_001))
    assert (last.code, "500" in last.message, last.line) == ("too_many_errors", True, None)


def test_an_image_that_nobody_has_is_told_with_its_line(quick, sdk, new_sdk, photo):
    theirs = new_sdk().files.create(file=("a.jpg", photo()), purpose="vision").id
    parts = [{"type": "image_url", "image_url": {"file_id": theirs}}]
    batch = created(sdk, jsonl(GOOD, line("b", messages=[{"role": "user", "content": parts}])))
    [error] = batch.errors.data
    assert (batch.status, error.code, error.line) == ("failed", "file_not_found", 2)
    assert error.param == "messages[0].content[0].image_url"


def test_an_image_that_a_chat_would_refuse_fails_its_line_and_is_named(quick, sdk, photo):
    text = uploaded(sdk, jsonl(GOOD)).id
    drawing = f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"
    rows = []
    for custom_id, given in (
        ("svg", {"url": drawing}),
        ("purpose", {"file_id": text}),
        ("word", {"url": "x"}),
    ):
        row = line(custom_id, image=photo())
        row["body"]["messages"][0]["content"].append({"type": "image_url", "image_url": given})
        rows.append(row)
    batch = created(sdk, jsonl(GOOD, *rows))
    told = [(error.line, error.code, error.param) for error in batch.errors.data]
    place = "messages[0].content[2].image_url"
    assert (batch.status, told) == ("failed", [(number, "invalid_image", place) for number in (2, 3, 4)])
    for row, error in zip(rows, batch.errors.data, strict=True):
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.chat.completions.create(**row["body"])
        assert (refused.value.code, refused.value.param) == (error.code, error.param)


@pytest.mark.parametrize("content", [b" \n\n ", b"\xef\xbb\xbf\n"])
def test_a_file_without_text_is_no_input(sdk, content):
    with pytest.raises(openai.BadRequestError):
        uploaded(sdk, content)


def test_a_line_that_fails_stands_in_the_error_file_and_the_others_in_the_output(quick, sdk):
    broken = line("broken", image=b"\xff\xd8\xff no image at all")
    done = awaited(quick, sdk, created(sdk, jsonl(line("good"), broken)))
    assert (done.status, done.request_counts.failed, done.request_counts.completed) == ("completed", 1, 1)
    assert [result["custom_id"] for result in lines_of(sdk, done.output_file_id)] == ["good"]
    [result] = lines_of(sdk, done.error_file_id)
    assert (result["custom_id"], result["error"], result["response"]["status_code"]) == ("broken", None, 400)
    assert result["response"]["body"]["error"]["code"] == "image_undecodable"


def test_a_batch_all_of_whose_lines_were_refused_is_completed_without_an_output_file(quick, sdk):
    quick.analyst.turn(error_rate=1, error_status=422)
    done = awaited(quick, sdk, created(sdk, jsonl(line("a"))))
    assert (done.status, done.request_counts.failed, done.output_file_id) == ("completed", 1, None)
    [result] = lines_of(sdk, done.error_file_id)
    assert (result["error"], result["response"]["status_code"]) == (None, 422)
    assert result["response"]["body"]["error"]["message"]


def test_a_cancelled_batch_keeps_what_was_done_and_tells_what_was_not(quick, sdk):
    quick.analyst.turn(latency=0.3)
    batch = created(sdk, jsonl(*(line(f"n{number}") for number in range(60))))
    quick.wait_for(lambda: sdk.batches.retrieve(batch.id).request_counts.completed)
    assert sdk.batches.cancel(batch.id).cancelling_at  # from the beginning
    done = awaited(quick, sdk, batch)
    assert done.status == "cancelled"
    assert done.cancelling_at <= done.cancelled_at
    results, errors = lines_of(sdk, done.output_file_id), lines_of(sdk, done.error_file_id)
    assert len(results) + len(errors) == 60
    assert (len(results), len(errors)) == (done.request_counts.completed, done.request_counts.failed)
    assert {error["error"]["code"] for error in errors} == {"batch_cancelled"}
    assert all(error["response"] is None for error in errors)


def test_what_is_done_can_be_read_while_the_batch_runs(quick, sdk):
    quick.analyst.turn(latency=0.3)
    batch = created(sdk, jsonl(*(line(f"n{number}") for number in range(60))))
    quick.wait_for(lambda: sdk.batches.retrieve(batch.id).request_counts.completed)
    paused(quick, sdk, batch)
    running = sdk.batches.retrieve(batch.id)
    assert (running.status, running.output_file_id) == ("in_progress", None)
    results = lines_of(sdk, running.to_dict()["so_far"]["output_file_id"])
    assert 0 < len(results) <= 60
    sdk.batches.cancel(batch.id)


def test_lines_that_ran_out_of_time_are_told_as_expired(quick, sdk):
    quick.analyst.turn(latency=0.5)
    batch = created(sdk, jsonl(*(line(f"n{number}") for number in range(20))))
    paused(quick, sdk, batch)
    with quick.desk.database.transaction() as session:
        past = {"deadline_at": func.now() - timedelta(seconds=1)}
        session.execute(update(Batch).where(Batch.id == batch.id).values(past))
        session.execute(update(Analysis).where(Analysis.batch_id == batch.id).values(past))
    done = awaited(quick, sdk, batch)
    assert (done.status, bool(done.expired_at)) == ("expired", True)
    errors = lines_of(sdk, done.error_file_id)
    assert {error["error"]["code"] for error in errors} == {"batch_expired"}
    assert len(errors) == done.request_counts.failed


def test_the_output_can_be_read_for_as_long_as_was_asked(quick, sdk):
    kept = {"anchor": "created_at", "seconds": 3_600}
    done = awaited(quick, sdk, created(sdk, jsonl(line("a")), output_expires_after=kept))
    assert sdk.files.retrieve(done.output_file_id).expires_at == done.completed_at + 3_600
    with quick.desk.database.transaction() as session:
        past = func.now() - timedelta(seconds=3_601)
        session.execute(update(Batch).where(Batch.id == done.id).values(finished_at=past))
    with pytest.raises(openai.NotFoundError):
        sdk.files.content(done.output_file_id)


def test_listings_see_every_batch_once_and_only_those_of_this_api(live, sdk):
    input_file = uploaded(sdk, b"{nothing good\n").id
    order = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    made = [sdk.batches.create(input_file_id=input_file, **order).id for _ in range(250)]
    assert [batch.id for batch in sdk.batches.list(limit=100)] == made[::-1]
    assert [batch.id for batch in sdk.batches.list().data] == made[::-1][:20]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"x" * 65: "x"}}, "metadata"),
        ({"metadata": {"x": "x" * 513}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3_599}}, "output_expires_after"),
    ],
)
def test_an_order_that_is_wrong_is_a_bad_request_that_names_the_parameter(sdk, wrong, param):
    with pytest.raises(openai.BadRequestError) as refused:
        created(sdk, jsonl(GOOD), **wrong)
    assert refused.value.param == param


def test_an_input_that_is_none_is_refused(sdk, new_sdk):
    other = sdk.files.create(file=("a.jsonl", jsonl(GOOD)), purpose="user_data").id
    theirs = uploaded(new_sdk(), jsonl(GOOD)).id
    order = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.batches.create(input_file_id=other, **order)
    assert refused.value.param == "input_file_id"
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.batches.create(input_file_id=theirs, **order)
    assert refused.value.param == "input_file_id"


@pytest.mark.parametrize(
    ("limit", "code"), [(101, "integer_above_max_value"), (0, "integer_below_min_value")]
)
def test_a_page_beyond_its_limits_is_refused_with_the_code_of_that_api(sdk, limit, code):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.batches.list(limit=limit)
    assert (refused.value.code, refused.value.param) == (code, "limit")


def test_unknown_batches_and_those_of_others_are_not_found(sdk, new_sdk):
    batch = created(sdk, jsonl("{bad"))
    for client, batch_id in ((sdk, "batch_abc123"), (new_sdk(), batch.id)):
        for act in (client.batches.retrieve, client.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                act(batch_id)


def test_a_completed_batch_cannot_be_cancelled_and_is_not_asked_again(quick, sdk):
    done = awaited(quick, sdk, created(sdk, jsonl(line("a"))))
    with pytest.raises(openai.ConflictError) as refused:
        sdk.batches.cancel(done.id)
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_a_batch_that_is_asked_for_twice_under_one_key_is_made_once(live, sdk):
    order = {
        "input_file_id": uploaded(sdk, jsonl("{bad")).id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    ids = {sdk.batches.create(**order, extra_headers={"Idempotency-Key": "once"}).id for _ in range(2)}
    assert len(ids) == 1


def test_images_inside_lines_are_stored_once_however_often_they_come(quick, sdk, photo):
    batch = created(sdk, jsonl(*(line(f"n{number}", image=photo("salmon")) for number in range(5))))
    assert awaited(quick, sdk, batch).request_counts.completed == 5
    with quick.desk.database.transaction() as session:
        of_batch = select(func.count()).select_from(Analysis).where(Analysis.batch_id == batch.id)
        assert session.scalar(of_batch) == 5

"""Five thousand items, polled and streamed at once, while another account cancels half-way."""

import csv
import io
import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from batch_client import act, calls_of, finished, look, paged, read_stream, submit, upload_photo
from sqlalchemy import func, select

from core.models import Analysis, Call

MANY, SOME = 5_000, 1_000
SLOTS = 8
"""Of both workers together: what may be under way when a batch is cancelled."""

pytestmark = pytest.mark.slow


@dataclass
class Seen:
    """What was seen of the batch that ran to its end, and of the one that was cancelled."""

    session: object
    batch: dict
    names: list
    polled: list
    streamed: list
    last_event: tuple
    other: object
    cancelled: dict
    answers: list
    asked: int
    """Calls for the cancelled batch when the answer to its cancel was there."""


@pytest.fixture(scope="module")
def seen(live, photo):
    live.analyst.reset()
    one, other = live.session(), live.session()
    batch, names = submit_many(live, one, photo, MANY)
    doomed, _ = submit_many(live, other, photo, SOME)
    with ThreadPoolExecutor(3) as pool:
        polled = pool.submit(poll, live, live.session_of(one), batch["id"])
        streamed = pool.submit(stream_with_cuts, live, live.session_of(one), batch["id"])
        answers, asked = pool.submit(cancel_half_way, live, other, doomed).result()
        cancelled = finished(live, other, doomed["id"])
        items, last = streamed.result()
        return Seen(one, batch, names, polled.result(), items, last, other, cancelled, answers, asked)


def submit_many(live, session, photo, count):
    """A batch over ten tiny photos, each item with a question of its own."""
    files = [upload_photo(live, session, photo((25 * n, 90, 160), (48, 48))) for n in range(10)]
    names = [f"sku-{n:05}" for n in range(count)]
    inputs = [
        {"custom_id": name, "image": files[n % 10], "question": f"What colour is {name}?"}
        for n, name in enumerate(names)
    ]
    return submit(live, session, inputs), names


def poll(live, session, batch_id):
    """Every standing until the last."""
    views = []

    def final():
        views.append(look(live, session, batch_id))
        return views[-1]["completed_at"]

    live.wait_for(final, every=0.3)
    return views


def stream_with_cuts(live, session, batch_id):
    """The custom ids of a stream that breaks off ten times at random places, and its last event."""
    cuts, items, last_id = random.Random(7), [], None
    for most in [*(cuts.randint(1, 400) for _ in range(10)), None]:
        events, last_id = read_stream(live, session, batch_id, last_id, most)
        items += [data["custom_id"] for name, data in events if name == "item"]
    return items, events[-1]


def cancel_half_way(live, session, batch):
    """Both answers to a cancel that is sent twice, and how much the endpoint had been asked by then."""
    live.wait_for(lambda: look(live, session, batch["id"])["counts"]["completed"] >= SOME // 2)
    answers = [act(live, session, batch["id"], "cancel") for _ in range(2)]
    return answers, len(calls_of(live, batch["request_id"]))


def test_counts_always_sum_and_never_go_backwards(seen):
    for before, after in zip(seen.polled, seen.polled[1:], strict=False):
        assert after["counts"]["completed"] >= before["counts"]["completed"]
        assert after["progress"] >= before["progress"]
    assert seen.polled[-1]["counts"] == {
        "total": MANY, "completed": MANY, "failed": 0, "cancelled": 0, "expired": 0, "pending": 0
    }  # fmt: skip


def test_a_stream_that_breaks_off_ten_times_shows_every_item_exactly_once_and_ends(seen):
    assert sorted(seen.streamed) == seen.names
    name, data = seen.last_event
    assert (name, data["status"], data["counts"]["completed"]) == ("done", "completed", MANY)


def test_a_cancel_answers_at_once_and_nothing_more_is_asked(live, seen):
    assert [answer.status_code for answer in seen.answers] == [200, 200]
    assert {answer.json()["status"] for answer in seen.answers} <= {"cancelling", "cancelled"}
    calls = calls_of(live, seen.cancelled["request_id"])
    assert len(calls) - seen.asked <= SLOTS
    assert len(calls) == seen.cancelled["counts"]["completed"]


def test_a_cancelled_batch_keeps_what_is_done_and_lists_the_rest_as_cancelled(live, seen):
    counts = seen.cancelled["counts"]
    assert SOME // 2 <= counts["completed"] < SOME
    assert counts["completed"] + counts["cancelled"] == SOME
    rows = paged(live, seen.other, seen.cancelled["id"])
    by_status = {name: [row for row in rows if row["status"] == name] for name in ("completed", "cancelled")}
    assert {name: len(found) for name, found in by_status.items()} == {
        name: counts[name] for name in by_status
    }
    assert all(row["answer"] for row in by_status["completed"])
    assert not any(row["answer"] or row["usage"]["total_tokens"] for row in by_status["cancelled"])


def test_results_hold_every_item_once_in_input_order_in_every_form(live, seen):
    url = f"{live.url}/api/v1/batches/{seen.batch['id']}/results"
    assert [row["custom_id"] for row in paged(live, seen.session, seen.batch["id"])] == seen.names
    lines = seen.session.get(f"{url}?format=ndjson", timeout=60).text.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == seen.names
    table = csv.DictReader(io.StringIO(seen.session.get(f"{url}?format=csv", timeout=60).text))
    assert [row["custom_id"] for row in table] == seen.names


@pytest.mark.parametrize("which", ["completed", "cancelled"])
def test_the_endpoint_and_the_books_agree_on_every_call_and_token(live, seen, which):
    view = seen.polled[-1] if which == "completed" else seen.cancelled
    asked = calls_of(live, view["request_id"])
    told = {
        name: sum(call[name] for call in asked if call["status"] == 200)
        for name in ("prompt_tokens", "completion_tokens")
    }
    mine = select(Analysis.id).where(Analysis.batch_id == view["id"])
    with live.desk.database.transaction() as session:
        query = select(
            Call.state, func.count(), func.sum(Call.prompt_tokens), func.sum(Call.completion_tokens)
        )
        [booked] = session.execute(query.where(Call.analysis_id.in_(mine)).group_by(Call.state)).all()
        each = session.scalar(
            select(func.count(Call.analysis_id.distinct())).where(Call.analysis_id.in_(mine))
        )
    completed = view["counts"]["completed"]
    assert tuple(booked) == ("settled", completed, told["prompt_tokens"], told["completion_tokens"])
    assert (each, len(asked)) == (completed, completed)
    assert {name: view["usage"][name] for name in told} == told

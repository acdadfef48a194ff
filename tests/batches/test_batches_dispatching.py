"""What a turn of the dispatcher rings for, what it remembers, and what it asks of Postgres."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from core.leader import Leader
from core.models import Analysis, Batch, Dispatch
from core.queue import BULK
from core.redis import PREFIX, connect
from core.services import dispatching
from core.services.dispatching import Pace

ITEMS = 6
LONG_AGO = func.now() - timedelta(seconds=6)


@pytest.fixture
def batch_id(client, desk, photo):
    """The only batch that is open, beside an empty queue."""
    connect(desk.settings.redis_url).delete(PREFIX + BULK)
    with desk.database.transaction() as session:
        ended = {"state": "cancelled", "finished_at": func.now()}
        session.execute(update(Batch).where(Batch.finished_at.is_(None)).values(ended))
    images = [(io.BytesIO(photo()), f"{n}.jpg") for n in range(ITEMS)]
    order = {"images": images, "question": "?!", "cache": "off"}
    return client.post("/api/v1/batches", data=order).json["id"]


@pytest.fixture
def change(desk, batch_id):
    def run(*where, **values):
        with desk.database.transaction() as session:
            session.execute(update(Analysis).where(Analysis.batch_id == batch_id, *where).values(**values))

    return run


def rung(desk):
    return dispatching.turn(desk, Pace(), 1.0)


def test_each_item_is_rung_for_once(desk, batch_id):
    assert [rung(desk), rung(desk)] == [ITEMS, 0]


def test_a_bell_that_nobody_answered_is_rung_again_after_a_while_and_not_before(desk, change):
    assert rung(desk) == ITEMS
    change(Analysis.position < 2, rung_at=LONG_AGO)
    change(Analysis.position == 2, rung_at=func.now() - timedelta(seconds=2))
    assert [rung(desk), rung(desk)] == [2, 0]


def test_items_that_are_held_or_not_yet_due_are_not_rung_for(desk, change):
    change(Analysis.position < 2, state="running", lease_until=func.now() + timedelta(minutes=1))
    change(Analysis.position == 2, next_attempt_at=func.now() + timedelta(minutes=1))
    assert rung(desk) == ITEMS - 3


def test_virtual_time_moves_on_to_the_item_whose_turn_came_last_and_never_back(desk, batch_id, change):
    def times():
        with desk.database.transaction() as session:
            start = session.scalar(select(Batch.start_tag).where(Batch.id == batch_id))
            return session.scalar(select(Dispatch.virtual_time)) - start

    rung(desk)
    assert times() == ITEMS - 1
    change(Analysis.position == 0, rung_at=LONG_AGO)
    assert rung(desk) == 1
    assert times() == ITEMS - 1


def test_a_turn_picks_and_marks_with_a_statement_each(desk, batch_id, statements):
    pace = Pace(per_second=100)  # one that is idle asks how many slots there are
    with statements() as seen:
        assert dispatching.turn(desk, pace, 1.0) == ITEMS
    assert len(seen) == 2


def test_one_look_tells_whether_there_is_anything_to_do_for_batches(desk, batch_id, client, statements):
    leader = Leader(desk.database, "test looks")

    def look():
        with statements() as seen:
            found = leader.ask(dispatching.look)
        return len(seen), found.any_runs, found.any_open

    assert leader.leads()
    assert look() == (1, True, True)
    client.post(f"/api/v1/batches/{batch_id}/pause")
    assert look() == (1, False, True)
    with desk.database.transaction() as session:
        session.execute(update(Batch).where(Batch.id == batch_id).values(finished_at=func.now()))
    assert look() == (1, False, False)
    leader.resign()

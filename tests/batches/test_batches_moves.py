"""What may be done to a batch in each of its states, also by two at once."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from core.models import Analysis, AnalysisImage, Batch, Call, File
from core.services import batches, dispatching
from core.store.analyses import CURRENT_XID

ITEMS = 30
ROUNDS = 8


class Shop:
    """An account with batches that no worker touches."""

    def __init__(self, app, desk, key, photo):
        self.app, self.desk, self.key, self.photo = app, desk, key, photo

    def client(self):
        signed_in = self.app.test_client()
        signed_in.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.key.secret}"
        return signed_in

    def submit(self, **order):
        images = [(io.BytesIO(self.photo()), f"{n}.jpg") for n in range(ITEMS)]
        data = {"images": images, "question": "?!", **order}
        return self.client().post("/api/v1/batches", data=data).json["id"]

    def act(self, batch_id, verb):
        path = f"/api/v1/batches/{batch_id}"
        if verb == "delete":
            return self.client().delete(path)
        body = {"states": ["failed", "cancelled", "expired"]} if verb == "retry" else None
        return self.client().post(f"{path}/{verb}", json=body)

    def look(self, batch_id):
        view = self.client().get(f"/api/v1/batches/{batch_id}").json
        counts = view["counts"]
        assert counts["total"] == sum(counts[name] for name in counts if name != "total")
        return view

    def end_items(self, batch_id, state, most=ITEMS):
        """Let items be final, as their workers would."""
        ended = {"state": state, "finished_at": func.now(), "finish_xid": CURRENT_XID}
        where = (Analysis.batch_id == batch_id, Analysis.position < most, Analysis.finish_xid.is_(None))
        with self.desk.database.transaction() as session:
            session.execute(update(Analysis).where(*where).values(**ended))

    def end_window(self, batch_id):
        with self.desk.database.transaction() as session:
            session.execute(update(Batch).where(Batch.id == batch_id).values(deadline_at=func.now()))

    def move_on(self, batch_id, *states):
        while self.look(batch_id)["status"] not in states:
            dispatching.move_on(self.desk)


@pytest.fixture
def shop(app, desk, key, photo):
    return Shop(app, desk, key, photo)


def running(shop, batch_id):
    pass


def paused(shop, batch_id):
    shop.act(batch_id, "pause")


def cancelling(shop, batch_id):
    shop.act(batch_id, "cancel")


def cancelled(shop, batch_id):
    shop.end_items(batch_id, "completed", most=3)
    shop.act(batch_id, "cancel")
    shop.move_on(batch_id, "cancelled")


def completed(shop, batch_id):
    shop.end_items(batch_id, "failed", most=3)
    shop.end_items(batch_id, "completed")
    shop.move_on(batch_id, "completed")


def expired(shop, batch_id):
    shop.end_items(batch_id, "expired")
    shop.end_window(batch_id)
    shop.move_on(batch_id, "expired")


ALLOWED = {
    running: {
        "pause": (200, "paused"),
        "resume": (200, "running"),
        "cancel": (200, "cancelling"),
        "retry": (400, "running"),  # none of its items has ended badly
        "delete": (409, "running"),
    },
    paused: {
        "pause": (200, "paused"),
        "resume": (200, "running"),
        "cancel": (200, "cancelling"),
        "retry": (400, "paused"),
        "delete": (409, "paused"),
    },
    cancelling: {
        "pause": (409, "cancelling"),
        "resume": (409, "cancelling"),
        "cancel": (200, "cancelling"),
        "retry": (409, "cancelling"),
        "delete": (409, "cancelling"),
    },
    cancelled: {
        "pause": (409, "cancelled"),
        "resume": (409, "cancelled"),
        "cancel": (200, "cancelled"),
        "retry": (200, "running"),
        "delete": (200, None),
    },
    completed: {
        "pause": (409, "completed"),
        "resume": (409, "completed"),
        "cancel": (409, "completed"),
        "retry": (200, "running"),
        "delete": (200, None),
    },
    expired: {
        "pause": (409, "expired"),
        "resume": (409, "expired"),
        "cancel": (409, "expired"),
        "retry": (200, "running"),
        "delete": (200, None),
    },
}
CASES = [(state, verb) for state, verbs in ALLOWED.items() for verb in verbs]


@pytest.mark.parametrize(("state", "verb"), CASES, ids=[f"{state.__name__}-{verb}" for state, verb in CASES])
def test_each_state_allows_what_it_should_and_refuses_the_rest_by_its_name(shop, state, verb):
    batch_id = shop.submit()
    state(shop, batch_id)
    answer = shop.act(batch_id, verb)
    status, after = ALLOWED[state][verb]
    assert answer.status_code == status, answer.text
    if status == 409:
        assert answer.json["error"].startswith(f"The batch is {after}: ")
    if after is None:
        assert shop.client().get(f"/api/v1/batches/{batch_id}").status_code == 404
    else:
        view = shop.look(batch_id)
        assert view["status"] == after
        assert (view["completed_at"] is None) == (after in {"running", "paused", "cancelling"})


def test_a_retry_without_a_body_runs_what_failed_again(shop):
    batch_id = shop.submit()
    completed(shop, batch_id)
    answer = shop.client().post(f"/api/v1/batches/{batch_id}/retry")
    assert (answer.status_code, answer.json["counts"]["pending"]) == (200, 3)


TOGETHER = {
    ("cancel", "cancel"): (running, {200}, {"cancelling", "cancelled"}),
    ("pause", "cancel"): (running, {200, 409}, {"cancelling", "cancelled"}),
    ("pause", "resume"): (running, {200}, {"paused", "running"}),
    ("resume", "cancel"): (paused, {200, 409}, {"cancelling", "cancelled"}),
    ("cancel", "retry"): (running, {200, 400, 409}, {"cancelling", "cancelled", "running"}),
    ("retry", "retry"): (completed, {200, 400}, {"running"}),
    ("retry", "delete"): (completed, {200, 404, 409}, {"running", None}),
    ("delete", "delete"): (completed, {200, 404}, {None}),
}


@pytest.mark.parametrize("verbs", TOGETHER, ids="-and-".join)
def test_two_at_once_leave_one_state_and_nobody_waits_for_the_other(shop, verbs):
    state, statuses, after = TOGETHER[verbs]
    with Dispatcher(shop.desk), ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            batch_id = shop.submit()
            state(shop, batch_id)
            answers = at_once(pool, shop, batch_id, verbs)
            assert {answer.status_code for answer in answers} <= statuses, [a.text for a in answers]
            found = shop.client().get(f"/api/v1/batches/{batch_id}")
            assert (found.json["status"] if found.status_code == 200 else None) in after


def at_once(pool, shop, batch_id, verbs):
    together = threading.Barrier(len(verbs))

    def act(verb):
        together.wait()
        return shop.act(batch_id, verb)

    return list(pool.map(act, verbs))


class Dispatcher:
    """Moves batches on all the while, as some worker does."""

    def __init__(self, desk):
        self._desk, self._closed = desk, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._closed.set()
        self._thread.join()

    def _run(self):
        while not self._closed.wait(0.01):
            dispatching.move_on(self._desk)


def test_a_batch_that_was_paused_as_its_last_items_came_in_is_completed(shop):
    batch_id = shop.submit()
    shop.act(batch_id, "pause")
    shop.end_items(batch_id, "completed")
    shop.move_on(batch_id, "completed")


def test_a_deleted_batch_takes_its_items_and_their_images_and_leaves_the_books(shop, desk, key, photo):
    client = shop.client()
    own = {"file": (io.BytesIO(photo("pink")), "own.jpg")}
    shared = client.post("/api/v1/files", data=own).json["id"]
    single = {"file": (io.BytesIO(photo("gold")), "single.jpg"), "question": "?!"}
    used = client.post("/api/v1/analyses", data=single).json["images"][0]["file_id"]
    batch_id, other = shop.submit(), shop.submit()
    inputs = [{"image": image, "question": "?!"} for image in (shared, used)]
    mixed = client.post("/api/v1/batches", json={"inputs": inputs}).json["id"]
    [first, *_] = client.get(f"/api/v1/batches/{batch_id}/results").json["data"]
    with desk.database.transaction() as session:
        session.add(call_for(first["id"], key.key))
    for doomed in (batch_id, mixed):
        completed(shop, doomed)
        answer = client.delete(f"/api/v1/batches/{doomed}")
        assert answer.json == {"id": doomed, "object": "batch", "deleted": True}
    assert client.get(f"/api/v1/analyses/{first['id']}").status_code == 404
    assert client.get(f"/api/v1/batches/{batch_id}/results").status_code == 404
    with desk.database.transaction() as session:
        left = select(Analysis.batch_id, func.count()).where(Analysis.account_id == key.key.account_id)
        assert dict(session.execute(left.group_by(Analysis.batch_id)).all()) == {None: 1, other: ITEMS}
        names = set(session.scalars(select(File.name).where(File.account_id == key.key.account_id)))
        assert {"own.jpg", "single.jpg"} < names
        files = select(func.count()).select_from(File).where(File.account_id == key.key.account_id)
        assert session.scalar(files) == ITEMS + 2
        assert session.scalar(select(Call.analysis_id).where(Call.id == f"call-{first['id']}"[:40]))
        assert not session.scalar(
            select(func.count()).select_from(AnalysisImage).where(AnalysisImage.analysis_id == first["id"])
        )


def call_for(analysis_id, key):
    return Call(
        id=f"call-{analysis_id}"[:40],
        analysis_id=analysis_id,
        account_id=key.account_id,
        key_id=key.id,
        fence=1,
        model="m",
        state="settled",
    )


def test_nobody_deletes_the_batch_of_another_account(shop, app, new_key):
    batch_id = shop.submit()
    completed(shop, batch_id)
    other = app.test_client()
    headers = {"Authorization": f"Bearer {new_key().secret}"}
    assert other.delete(f"/api/v1/batches/{batch_id}", headers=headers).status_code == 404
    assert shop.look(batch_id)["status"] == "completed"


@pytest.mark.parametrize("count", [1, 6])
def test_a_listing_takes_as_many_queries_for_many_batches_as_for_one(shop, desk, count, statements):
    for _ in range(count):
        shop.submit()
    client = shop.client()
    with statements() as seen:
        assert len(client.get("/api/v1/batches").json["data"]) == count
    assert len(seen) <= 4, seen  # of them, two are for the key


def test_a_batch_has_started_when_its_first_item_was_begun(shop, desk):
    batch_id = shop.submit()
    assert shop.look(batch_id)["started_at"] is None
    with desk.database.transaction() as session:
        begun = update(Analysis).where(Analysis.batch_id == batch_id, Analysis.position.between(3, 5))
        session.execute(begun.values(started_at=func.now() + func.make_interval(0, 0, 0, Analysis.position)))
        session.execute(begun.where(Analysis.position == 5).values(state="running"))
    items = shop.client().get(f"/api/v1/batches/{batch_id}/results").json["data"]
    assert shop.look(batch_id)["started_at"] == items[3]["started_at"]


def test_what_asked_nothing_costs_nothing_and_what_has_no_price_is_not_free(shop, desk):
    batch_id = shop.submit()
    results = f"/api/v1/batches/{batch_id}/results"

    def costs():
        item = shop.client().get(results).json["data"][0]
        return [shown["cost"]["total_cost"] for shown in (shop.look(batch_id), item)]

    assert costs() == [0, 0]
    with desk.database.transaction() as session:
        first = update(Analysis).where(Analysis.batch_id == batch_id, Analysis.position == 0)
        session.execute(first.values(prompt_tokens=100, completion_tokens=1))
    assert costs() == [None, None]


def test_a_pilot_shows_some_of_what_was_answered(shop, desk):
    batch_id = shop.submit(pilot=5)
    shop.end_items(batch_id, "failed", most=1)
    shop.end_items(batch_id, "completed", most=5)
    with desk.database.transaction() as session:
        items = update(Analysis).where(Analysis.batch_id == batch_id)
        session.execute(items.where(Analysis.state == "completed").values(answer="Teal. " * 100))
        why = {"error_code": "timeout", "error_message": "Too late."}
        session.execute(items.where(Analysis.state == "failed").values(why))
    assert shop.look(batch_id)["projection"] is None  # it has not come to its end
    paused(shop, batch_id)
    failed, *answered = shop.look(batch_id)["projection"]["samples"]
    assert (failed["status"], failed["answer"]) == ("failed", None)
    assert failed["error"] == {"code": "timeout", "message": "Too late."}
    assert [(sample["custom_id"], sample["answer"]) for sample in answered] == [
        ("item-2", "Teal. " * 50),
        ("item-3", "Teal. " * 50),
    ]
    shop.act(batch_id, "resume")
    assert shop.look(batch_id)["projection"] is None


def test_a_look_says_when_to_look_again_until_it_is_finished(shop):
    batch_id = shop.submit()
    path = f"/api/v1/batches/{batch_id}"
    assert int(shop.client().get(path).headers["Retry-After"]) > 0
    completed(shop, batch_id)
    answer = shop.client().get(path)
    assert "Retry-After" not in answer.headers
    assert (answer.json["retry_after"], answer.json["expected_at"]) == (None, None)


def test_the_expected_end_is_never_beyond_the_deadline(shop, desk, key):
    batch_id = shop.submit()
    shop.end_items(batch_id, "completed", most=1)
    with desk.database.transaction() as session:  # an hour between the first item and the second
        first = update(Analysis).where(Analysis.batch_id == batch_id, Analysis.position == 0)
        session.execute(first.values(finished_at=func.now() - func.make_interval(0, 0, 0, 0, 1)))
    shop.end_items(batch_id, "completed", most=2)
    standing = batches.get(desk, key.key.account_id, batch_id)
    assert standing.expected_at.timestamp() == pytest.approx(standing.batch.deadline_at.timestamp(), abs=1)
    shop.end_items(batch_id, "expired", most=20)  # all at once, which says nothing of the speed
    assert batches.get(desk, key.key.account_id, batch_id).speed == pytest.approx(standing.speed)

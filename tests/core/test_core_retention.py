"""What is kept for some days and no longer, and that nothing goes with it that is still used."""

import dataclasses
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from waiting import wait_until

from core.blobs import Blobs
from core.errors import NotFound
from core.models import Analysis, Batch, Blob, Call, File
from core.services import files, retention
from core.services.files import Purpose
from webapp.uploads import Spool

LONG_AGO = func.now() - timedelta(days=31)
MONTH = timedelta(days=30)


@pytest.fixture
def keeping(desk, settings):
    """A desk that keeps results and files for thirty days."""
    own = dataclasses.replace(settings, result_retention=MONTH, file_retention=MONTH)
    keeping = dataclasses.replace(desk, settings=own)
    tidy(keeping)  # what other tests left
    return keeping


def tidy(desk, **options):
    """Everything that workers do about it, until nothing is left to do."""
    for chore in (retention.forget_analyses, retention.hide_batches, retention.forget_items):
        while chore(desk, **options):
            pass
    while files.expire(desk):
        pass


def change(desk, model, row_id, **values):
    with desk.database.transaction() as session:
        session.execute(update(model).where(model.id == row_id).values(**values))


def exists(desk, model, row_id):
    with desk.database.transaction() as session:
        return session.get(model, row_id) is not None


def submit(client, content, **fields):
    body = {"file": (io.BytesIO(content), "p.jpg"), "question": "?!", **fields}
    return client.post("/api/v1/analyses", data=body).json


def upload(client, content):
    return client.post("/api/v1/files", data={"file": (io.BytesIO(content), "p.jpg")}).json["id"]


def batch(client, inputs):
    return client.post("/api/v1/batches", json={"inputs": inputs}).json["id"]


def finish(desk, model, row_id, when=LONG_AGO):
    change(desk, model, row_id, state="completed", finished_at=when)


def finish_batch(desk, batch_id, when=LONG_AGO):
    finish(desk, Batch, batch_id, when)
    with desk.database.transaction() as session:
        values = {"state": "completed", "finished_at": when}
        session.execute(update(Analysis).where(Analysis.batch_id == batch_id).values(**values))


def let_go(desk, digest):
    """What collecting does once nobody has touched the bytes for long; whether they are still there."""
    with desk.database.transaction() as session:
        old = {"touched_at": func.now() - files.ABANDONED_AFTER * 2}
        session.execute(update(Blob).where(Blob.digest == digest).values(old))
    while files.collect_abandoned(desk):
        pass
    return desk.blobs._has(digest)


def test_an_old_result_goes_with_its_image_and_leaves_its_call_in_the_books(keeping, client, key, photo):
    made = submit(client, photo("#010203"))
    [image] = made["images"]
    row = {"account_id": key.key.account_id, "key_id": key.key.id, "analysis_id": made["id"]}
    with keeping.database.transaction() as session:
        session.add(Call(id=f"call-{made['id']}"[:40], fence=1, model="m", state="settled", **row))
    finish(keeping, Analysis, made["id"])
    tidy(keeping)
    assert client.get(f"/api/v1/analyses/{made['id']}").status_code == 404
    assert not exists(keeping, File, image["file_id"])
    assert not let_go(keeping, image["sha256"])
    with keeping.database.transaction() as session:
        assert session.scalar(select(Call.id).where(Call.analysis_id == made["id"]))


def test_what_is_young_or_unfinished_stays_however_old_its_submission(keeping, client, photo):
    young, open_one = submit(client, photo("#020202")), submit(client, photo("#020203"))
    finish(keeping, Analysis, young["id"], func.now() - timedelta(days=29))
    change(keeping, Analysis, open_one["id"], created_at=LONG_AGO)
    tidy(keeping)
    for made in (young, open_one):
        assert client.get(f"/api/v1/analyses/{made['id']}").status_code == 200


def test_without_a_policy_everything_stays(desk, client, photo):
    made, file_id = submit(client, photo("#030303")), upload(client, photo("#030304"))
    batch_id = batch(client, [{"image": file_id, "question": "?!"}])
    finish(desk, Analysis, made["id"])
    finish_batch(desk, batch_id)
    change(desk, File, file_id, created_at=LONG_AGO)
    tidy(desk)
    for place in (f"analyses/{made['id']}", f"batches/{batch_id}", f"files/{file_id}"):
        assert client.get(f"/api/v1/{place}").status_code == 200


def test_an_old_batch_is_gone_at_once_and_its_items_go_bit_by_bit(keeping, client, photo):
    inputs = [{"image": upload(client, photo("#040404")), "question": f"{n}?"} for n in range(5)]
    old, young = batch(client, inputs), batch(client, inputs)
    finish_batch(keeping, old)
    finish_batch(keeping, young, func.now())
    retention.hide_batches(keeping)
    for answer in (
        client.get(f"/api/v1/batches/{old}"),
        client.get(f"/api/v1/batches/{old}/results"),
        client.post(f"/api/v1/batches/{old}/retry", json={}),
        client.delete(f"/api/v1/batches/{old}"),
    ):
        assert answer.status_code == 404
    assert [row["id"] for row in client.get("/api/v1/batches").json["data"]] == [young]
    assert [retention.forget_items(keeping, 2) for _ in range(5)] == [2, 2, 1, 1, 0]
    assert not exists(keeping, Batch, old)
    assert client.get(f"/api/v1/batches/{young}").json["counts"]["completed"] == 5


def test_a_batch_that_is_tried_again_is_not_forgotten(keeping, client, photo):
    batch_id = batch(client, [{"image": upload(client, photo("#050505")), "question": "?!"}])
    finish_batch(keeping, batch_id)
    with keeping.database.transaction() as session:
        session.execute(update(Analysis).where(Analysis.batch_id == batch_id).values(state="failed"))
    assert client.post(f"/api/v1/batches/{batch_id}/retry", json={}).status_code == 200
    tidy(keeping)
    assert client.get(f"/api/v1/batches/{batch_id}").json["status"] == "running"


def test_an_image_that_another_analysis_uses_stays_until_that_goes_too(keeping, client, photo):
    first = submit(client, photo("#060606"))
    [image] = first["images"]
    body = {"question": "?!", "images": [{"file_id": image["file_id"]}]}
    second = client.post("/api/v1/analyses", json=body).json
    in_batch = batch(client, [{"image": image["file_id"], "question": "?!"}])
    for forget in (
        lambda: finish(keeping, Analysis, first["id"]),
        lambda: finish(keeping, Analysis, second["id"]),
        lambda: finish_batch(keeping, in_batch),
    ):
        assert exists(keeping, File, image["file_id"])
        forget()
        tidy(keeping)
    assert not exists(keeping, File, image["file_id"])


def test_bytes_that_another_account_sent_too_stay_with_it(keeping, app, new_key, photo):
    made = []
    for _ in range(2):
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
        made.append(submit(client, photo("#070707")))
    digest = made[0]["images"][0]["sha256"]
    finish(keeping, Analysis, made[0]["id"])
    tidy(keeping)
    assert let_go(keeping, digest)
    finish(keeping, Analysis, made[1]["id"])
    tidy(keeping)
    assert not let_go(keeping, digest)


def test_an_old_upload_goes_unless_an_analysis_uses_it(keeping, client, photo):
    used, unused, young = (upload(client, photo(color)) for color in ("#080801", "#080802", "#080803"))
    made = client.post("/api/v1/analyses", json={"question": "?!", "images": [{"file_id": used}]}).json
    for file_id in (used, unused):
        change(keeping, File, file_id, created_at=LONG_AGO)
    tidy(keeping)
    assert [exists(keeping, File, file_id) for file_id in (used, unused, young)] == [True, False, True]
    finish(keeping, Analysis, made["id"])
    tidy(keeping)
    assert not exists(keeping, File, used)


def test_workers_that_tidy_at_once_forget_each_result_once(keeping, client, key, photo):
    image = upload(client, photo("#090909"))
    body = {"question": "?!", "images": [{"file_id": image}]}
    made = [client.post("/api/v1/analyses", json=body).json["id"] for _ in range(40)]
    with keeping.database.transaction() as session:
        values = {"state": "completed", "finished_at": LONG_AGO}
        session.execute(update(Analysis).where(Analysis.id.in_(made)).values(**values))

    def forget(_):
        total = 0
        while removed := retention.forget_analyses(keeping, 7):
            total += removed
        return total

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(forget, range(4))) == len(made)


def test_what_retention_looks_for_is_found_by_an_index(desk):
    """Even where almost nothing is old."""
    looks = {
        "ix_analyses_kept": "SELECT id FROM analyses WHERE batch_id IS NULL AND finished_at < now()",
        "ix_batches_kept": "SELECT id FROM batches WHERE finished_at < now()",
        "ix_batches_deleted": "SELECT id FROM batches WHERE deleted_at IS NOT NULL ORDER BY id",
        "ix_files_uploaded": "SELECT id FROM files WHERE purpose <> 'analysis' AND created_at < now()",
    }
    with desk.database.transaction() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        for index, query in looks.items():
            plan = "\n".join(session.scalars(text(f"EXPLAIN {query}")))
            assert index in plan


class HeldBlobs(Blobs):
    """A store whose removals last as long as the test wants."""

    def __init__(self, url):
        super().__init__(url)
        self.removed, self.may_go_on = threading.Event(), threading.Event()

    def delete(self, digest):
        super().delete(digest)
        self.removed.set()
        assert self.may_go_on.wait(60)


def waiting_for_locks(desk):
    with desk.database.transaction() as session:
        return session.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )


def spooled(content):
    spool = Spool(1_000_000)
    spool.write(content)
    return spool.upload("p.jpg")


def test_bytes_that_come_in_again_while_they_are_removed_are_there_in_the_end(desk, settings, key, photo):
    holding = HeldBlobs(settings.storage_url)
    content = photo("#0a0a0a")

    def keep():
        again = spooled(content)
        return files.keep(desk, key.key.account_id, again, purpose=Purpose.VISION, lifetime=None)

    first = keep()
    files.delete(desk, key.key.account_id, first.id)
    with desk.database.transaction() as session:
        old = {"touched_at": func.now() - files.ABANDONED_AFTER * 2}
        session.execute(update(Blob).where(Blob.digest == first.digest).values(old))
    with ThreadPoolExecutor(2) as pool:
        collecting = pool.submit(files.collect_abandoned, dataclasses.replace(desk, blobs=holding))
        assert holding.removed.wait(60)
        with pytest.raises(NotFound):
            desk.blobs.get(first.digest)
        coming = pool.submit(keep)
        wait_until(lambda: waiting_for_locks(desk) or coming.done())
        assert not coming.done()
        holding.may_go_on.set()
        collecting.result()
        second = coming.result()
    assert desk.blobs.get(second.digest) == content
    assert files.collect_abandoned(desk) == 0

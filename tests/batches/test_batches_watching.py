"""Hundreds of watchers: those with a place see everything, the others are told when to come back."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests
from batch_client import act, submit, upload_photo
from sqlalchemy import func, update
from waiting import wait_until

from core.models import Analysis
from core.services import batches, dispatching
from core.store.analyses import CURRENT_XID
from webapp import feeds
from webapp.feeds import START, Feeds
from webapp.streams import KEPT_FREE

WATCHERS, ITEMS = 300, 120
PROCESSES, THREADS = 2, 32
"""Of the live system's web tier."""


class Watcher:
    """One stream over a socket of its own."""

    def __init__(self, live, session, batch_id):
        self._place, self._key = urlsplit(live.url), session.headers["Authorization"]
        self._path = f"/api/v1/batches/{batch_id}/stream"
        self.items, self.last = [], None

    async def open(self):
        """Ask, and read the head of the answer."""
        self._reader, self._writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        lines = (f"GET {self._path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: {self._key}")
        self._writer.write("\r\n".join((*lines, "", "")).encode())
        first, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in fields)}

    async def follow(self):
        """Read to the end of the stream."""
        async for line in self._reader:
            if line.startswith(b"id: "):
                self.items.append(line)
            if line.startswith(b"event: "):
                self.last = line.split()[1].decode()
        self.close()

    def close(self):
        self._writer.close()


def test_watchers_beyond_the_cap_are_told_to_come_back_and_starve_nobody(quick, photo):
    session = quick.session()
    file_id = upload_photo(quick, session, photo("plum"))
    batch = submit(quick, session, [{"image": file_id, "question": f"? {n}"} for n in range(ITEMS)])
    act(quick, session, batch["id"], "pause")
    asyncio.run(watched_by_many(quick, session, batch["id"]))


async def watched_by_many(quick, session, batch_id):
    watchers = [Watcher(quick, session, batch_id) for _ in range(WATCHERS)]
    await asyncio.gather(*(watcher.open() for watcher in watchers))
    seated = [watcher for watcher in watchers if watcher.status == 200]
    refused = [watcher for watcher in watchers if watcher.status != 200]
    places = THREADS - KEPT_FREE
    assert 0 < len(seated) <= PROCESSES * places  # some may still be those of watchers from before
    assert {watcher.status for watcher in refused} == {503}
    assert all(int(watcher.headers["retry-after"]) > 0 for watcher in refused)
    await asyncio.to_thread(everything_else_is_answered, quick, session, batch_id)
    await asyncio.gather(*(watcher.follow() for watcher in seated))
    assert {len(watcher.items) for watcher in seated} == {ITEMS}
    assert {len(set(watcher.items)) for watcher in seated} == {ITEMS}
    assert {watcher.last for watcher in seated} == {"done"}


def test_watchers_who_hang_up_leave_their_places_to_others(quick, photo):
    session = quick.session()
    batch = submit(
        quick,
        session,
        [{"image": upload_photo(quick, session, photo("plum")), "question": "?!"}] * 2,
        pilot=1,
    )
    places = PROCESSES * (THREADS - KEPT_FREE)
    for _ in range(3):
        quick.wait_for(lambda: asyncio.run(take_all_places(quick, session, batch["id"])) == places)


async def take_all_places(quick, session, batch_id):
    """How many of very many watchers get a place; all hang up at once."""
    watchers = [Watcher(quick, session, batch_id) for _ in range(150)]
    await asyncio.gather(*(watcher.open() for watcher in watchers))
    for watcher in watchers:
        watcher.close()
    return sum(watcher.status == 200 for watcher in watchers)


def everything_else_is_answered(quick, session, batch_id):
    """While every place is taken; the last request lets the batch go on."""
    file_id = session.get(f"{quick.url}/api/v1/files", timeout=20).json()["data"][0]["id"]
    single = {"images": [{"file_id": file_id}], "question": "?!", "wait": 1}
    for _ in range(4):  # whichever process they fall to
        assert requests.get(f"{quick.url}/health", timeout=20).status_code == 200
        posted = requests.post(
            f"{quick.url}/api/v1/analyses", json=single, headers=session.headers, timeout=20
        )
        assert posted.status_code in {200, 202}
    assert act(quick, session, batch_id, "resume").status_code == 200


def nobody_has_gone():
    return False


class Shop:
    """A batch that no worker touches, and watchers in this process."""

    def __init__(self, client, desk, key, photo):
        images = [(io.BytesIO(photo()), f"{n}.jpg") for n in range(100)]
        made = client.post("/api/v1/batches", data={"images": images, "question": "?!"})
        self.desk, self.account_id, self.batch_id = desk, key.key.account_id, made.json["id"]
        self.feeds = Feeds()

    def end_items(self, positions):
        """Let items be final, as their workers would."""
        where = (Analysis.batch_id == self.batch_id, Analysis.position.in_(positions))
        ended = {"state": "completed", "finished_at": func.now(), "finish_xid": CURRENT_XID}
        with self.desk.database.transaction() as session:
            session.execute(update(Analysis).where(*where).values(**ended))

    def end(self):
        while batches.get(self.desk, self.account_id, self.batch_id).batch.finished_at is None:
            dispatching.move_on(self.desk)

    def follow(self, place=START):
        """Ids of the items that a watcher sees, to the end of the stream."""
        standing = batches.get(self.desk, self.account_id, self.batch_id)
        with closing(self.feeds.events(self.desk, standing, place, nobody_has_gone)) as events:
            return [event.split()[1] for event in events if event.startswith("id: ")]


@pytest.fixture
def shop(client, desk, key, photo):
    return Shop(client, desk, key, photo)


def test_a_watcher_who_falls_behind_what_is_kept_still_sees_everything(shop, monkeypatch):
    monkeypatch.setattr(feeds, "KEPT", 5)
    standing = batches.get(shop.desk, shop.account_id, shop.batch_id)
    slow = shop.feeds.events(shop.desk, standing, START, nobody_has_gone)
    shop.end_items([0])
    seen = [next(event for event in slow if event.startswith("id: "))]
    with ThreadPoolExecutor(1) as pool:
        fast = pool.submit(shop.follow)
        for start in range(1, 100, 11):
            shop.end_items(range(start, min(start + 11, 100)))
        shop.end()
        assert len(fast.result()) == len(set(fast.result())) == 100
        seen += [event for event in slow if event.startswith("id: ")]
    assert [event.split()[1] for event in seen] == fast.result()


def test_what_many_watch_is_read_once(shop, statements):
    with ThreadPoolExecutor(20) as pool:
        watchers = [pool.submit(shop.follow) for _ in range(20)]
        wait_until(
            lambda: [feed for feed in shop.feeds._feeds.values() if feed.watchers == 20 and feed._reads]
        )
        with statements() as seen:
            shop.end_items(range(100))
            shop.end()
            assert {len(set(watcher.result())) for watcher in watchers} == {100}
    assert sum("FROM analysis_images" in statement for statement in seen) == 1


def test_a_feed_goes_with_its_last_watcher(shop):
    shop.end_items(range(100))
    shop.end()
    shop.follow()
    assert not shop.feeds._feeds


def test_a_retried_batch_is_followed_to_its_new_end(shop, client):
    shop.end_items(range(99))
    with shop.desk.database.transaction() as session:
        failed = {"state": "failed", "finished_at": func.now(), "finish_xid": CURRENT_XID}
        last = (Analysis.batch_id == shop.batch_id, Analysis.position == 99)
        session.execute(update(Analysis).where(*last).values(**failed))
    shop.end()
    first = shop.follow()
    client.post(f"/api/v1/batches/{shop.batch_id}/retry", json={})
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(shop.follow, tuple(map(int, first[-1].split("."))))
        shop.end_items([99])
        shop.end()
        assert len(again.result()) == 1


def test_the_stream_of_a_batch_that_is_deleted_just_ends(shop):
    standing = batches.get(shop.desk, shop.account_id, shop.batch_id)
    events = shop.feeds.events(shop.desk, standing, START, nobody_has_gone)
    first = next(events)
    shop.end_items(range(100))
    shop.end()
    batches.delete(shop.desk, shop.account_id, shop.batch_id)
    assert first.startswith("event: status")
    assert not [event for event in events if event.startswith("event: done")]
    assert not shop.feeds._feeds


def test_a_place_from_the_future_shows_nothing_and_ends(shop):
    shop.end_items(range(100))
    shop.end()
    assert shop.follow((2**62, 0)) == []

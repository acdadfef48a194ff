"""What is new in a batch, read and rendered once per process, however many watch it.

A feed keeps the latest items, ready to be sent. Watchers that have seen them take turns in reading on; one
that is further behind reads pages of its own until it has caught up.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

from flask import Flask, current_app

from core.desk import Desk
from core.errors import NotFound
from core.models import Analysis
from core.services import batches
from core.services.batches import PAGE, Standing
from webapp import present
from webapp.schemas.batches import BatchView, ItemView
from webapp.streams import HEARTBEAT, HEARTBEAT_SECONDS, event

Place = tuple[int, int]
"""Where an item stands in its stream: the transaction that finished it, and its position."""

WAIT_SECONDS = 1.0
"""How long a feed relies on events before it looks into the database itself, and on what it last counted."""
PACE_SECONDS = 0.2
"""Between two reads: items that finish meanwhile are read together."""
KEPT = 2 * PAGE
"""Items that a feed keeps, of some 2 kB each."""
START: Place = (0, -1)
NOWHERE: Place = (2**63 - 1, 0)
SHOWN = ("id", "status", "reason", "counts", "progress", "cost")


@dataclass(frozen=True, slots=True)
class Sent:
    """An item on the wire."""

    place: Place
    text: str


class Feed:
    """The end of the stream of one batch."""

    def __init__(self, desk: Desk, standing: Standing) -> None:
        self._desk = desk
        self._account_id, self._batch_id = standing.batch.account_id, standing.batch.id
        self._items: deque[Sent] = deque()
        self._start = self._end = NOWHERE
        """Kept are the items behind the one and up to the other."""
        self._reader = threading.Lock()
        self._news = threading.Condition()
        self._reads = 0
        self._read_at = 0.0
        self._full = False
        self._done: str | None = None
        self._is_deleted = False
        self._stand(standing)
        self.watchers = 0

    def events(self, place: Place, has_gone: Callable[[], bool]) -> Iterator[str]:
        """Every item that became final behind a place, each once, and the standing whenever it changed."""
        told, joined, quiet_since = "", self._reads, time.monotonic()
        while not has_gone():
            reads, status, done, deleted = self._reads, self._status, self._done, self._is_deleted
            for item in (items := self._behind(place)):
                place = item.place
                yield item.text
            if status != told:
                told, quiet_since = status, time.monotonic()
                yield status
            if items:
                continue
            if deleted:
                return
            if done and reads > joined:  # a feed from before may know an end that a retry has undone
                yield done
                return
            if time.monotonic() - quiet_since > HEARTBEAT_SECONDS:
                quiet_since = time.monotonic()
                yield HEARTBEAT
            self._wait(reads)

    def _behind(self, place: Place) -> Sequence[Sent]:
        """Items behind a place: those kept here, or a page from the database for a watcher far behind."""
        with self._news:  # both at one moment: what is dropped in between would be missed
            far_behind = place < self._start
            newest_first = list(takewhile(lambda item: item.place > place, reversed(self._items)))
        return (far_behind and self._page(place)) or newest_first[::-1]

    def _wait(self, reads: int) -> None:
        """Return when the feed was read more often than that; whoever comes first does the reading."""
        if self._reader.acquire(blocking=False):
            try:
                if self._reads == reads:
                    self._read()
            finally:
                self._reader.release()
        else:
            with self._news:
                self._news.wait_for(lambda: self._reads != reads, WAIT_SECONDS)

    def _read(self) -> None:
        """Wait for news, and read what there is."""
        if not self._full and time.monotonic() - self._read_at < WAIT_SECONDS:
            self._desk.events.wait_for_news(self._batch_id, WAIT_SECONDS)
            time.sleep(max(0.0, self._read_at + PACE_SECONDS - time.monotonic()))
        if not self._reads:
            self._start = self._end = batches.told_until(self._desk, self._batch_id)
        items = self._page(self._end)
        self._keep(items)
        self._done = None
        if not items or time.monotonic() - self._stood_at > WAIT_SECONDS:
            self._look()
        with self._news:
            self._reads, self._read_at = self._reads + 1, time.monotonic()
            self._news.notify_all()

    def _look(self) -> None:
        try:
            standing = batches.get(self._desk, self._account_id, self._batch_id)
        except NotFound:
            self._is_deleted = True
        else:
            self._stand(standing, known=True)

    def _page(self, place: Place) -> list[Sent]:
        rows = batches.finished_after(self._desk, self._batch_id, place)
        return [_sent((row.finish_xid or 0, row.position or 0), row) for row in rows]

    def _keep(self, items: Sequence[Sent]) -> None:
        with self._news:
            self._items.extend(items)
            while len(self._items) > KEPT:
                self._start = self._items.popleft().place
            self._end = items[-1].place if items else self._end
            self._full = len(items) == PAGE

    def _stand(self, standing: Standing, *, known: bool = False) -> None:
        """Note how the batch stands; `known` items are done when it is final and none is left to be told."""
        view = BatchView().dump(present.batch(standing))
        shown = {name: view[name] for name in SHOWN}
        self._status, self._stood_at = event("status", shown), time.monotonic()
        final = known and standing.batch.finished_at is not None
        if final and not batches.has_more_to_tell(self._desk, self._batch_id, self._end):
            self._done = event("done", shown)


class Feeds:
    """The feeds of this process: one for each batch that is watched."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._lock = threading.Lock()

    def events(
        self, desk: Desk, standing: Standing, place: Place, has_gone: Callable[[], bool]
    ) -> Iterator[str]:
        """Follow a batch from behind a place to its end, or until the watcher has gone."""
        with self._joined(desk, standing) as feed:
            yield from feed.events(place, has_gone)

    @contextmanager
    def _joined(self, desk: Desk, standing: Standing) -> Iterator[Feed]:
        batch_id = standing.batch.id
        with self._lock:
            feed = self._feeds.get(batch_id) or self._feeds.setdefault(batch_id, Feed(desk, standing))
            feed.watchers += 1
        try:
            yield feed
        finally:
            with self._lock:
                feed.watchers -= 1
                if not feed.watchers:
                    del self._feeds[batch_id]


def register(app: Flask) -> None:
    """Give the app its feeds."""
    app.extensions["feeds"] = Feeds()


def feeds() -> Feeds:
    """The feeds of this app."""
    found: Feeds = current_app.extensions["feeds"]
    return found


def _sent(place: Place, row: Analysis) -> Sent:
    return Sent(place, event("item", ItemView().dump(present.item(row)), f"{place[0]}.{place[1]}"))

"""Keeps what images look like: measured on the way of every analysis, and for whoever asks.

What comes by is written together, now and then: an image costs no transaction of its own. Should the
process die first, some images are measured again when somebody asks about them.
"""

from __future__ import annotations

import threading

import structlog

from core.desk import Desk
from core.errors import Unavailable, VitrineError
from core.likeness import Features
from core.services import image_embeddings, indexing
from core.services.outcomes import Claim
from worker.imaging import Policy
from worker.preparer import Preparer
from worker.timetable import Timetable, done

WRITE_SECONDS = 1.0
KEPT = 10_000
"""Images whose features wait while the database is away; more are left for later."""
SIDE = 512
"""px: what an image is prepared at only to be measured."""

log = structlog.get_logger(__name__)


class Indexer:
    """Of one worker process; its threads share it."""

    def __init__(self, desk: Desk, preparer: Preparer) -> None:
        self._desk = desk
        self._preparer = preparer
        self._waiting: dict[str, Features] = {}
        self._unembedded: dict[tuple[str, str], tuple[str, str, str]] = {}  # by account and digest
        self._lock = threading.Lock()
        self._timetable = Timetable("index", [(WRITE_SECONDS, self._write), (WRITE_SECONDS, self._order)])

    def note(self, claimed: Claim, digest: str, features: Features) -> None:
        """Keep these soon, and have the image embedded where that is wanted."""
        with self._lock:
            if len(self._waiting) < KEPT:
                self._waiting[digest] = features
            if self._desk.settings.similar_embedding_model and len(self._unembedded) < KEPT:
                self._unembedded[claimed.account_id, digest] = (claimed.key_id, claimed.request_id, digest)

    def measure(self, digest: str) -> None:
        """Measure stored bytes now, unless that was done; what is wrong with them is kept instead."""
        try:
            if not indexing.is_known(self._desk, digest):
                self._measure(digest)
        except Unavailable:
            log.warning("measuring_put_off", digest=digest)  # whoever waits rings again

    def close(self) -> None:
        """Write what waits."""
        self._timetable.close()
        done(self._write)
        done(self._order)

    def _measure(self, digest: str) -> None:
        try:
            content = self._desk.blobs.get(digest)
            prepared = self._preparer.prepare(content, Policy.of(self._desk.settings, best_side=SIDE))
        except Unavailable:
            raise
        except VitrineError as error:
            indexing.keep_problem(self._desk, digest, error)
        else:
            indexing.keep_one(self._desk, digest, prepared.features)

    def _write(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, {}
        try:
            indexing.keep(self._desk, taken)
        except Unavailable:
            with self._lock:
                self._waiting = taken | self._waiting
            raise

    def _order(self) -> None:
        with self._lock:
            taken, self._unembedded = self._unembedded, {}
        try:
            image_embeddings.order_seen(self._desk, taken.values())
        except Unavailable:
            with self._lock:
                self._unembedded = taken | self._unembedded
            raise

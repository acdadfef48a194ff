"""The leases that this process holds, renewed together by one statement several times within a lease."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from core.desk import Desk
from core.errors import VitrineError
from core.services import outcomes
from core.services.outcomes import Claim

BEATS_PER_LEASE = 4.5
"""A heartbeat every ten seconds for a lease of 45: three may fail before it runs out."""

log = structlog.get_logger(__name__)


class Leases:
    """Knows the claims in work; a thread renews them until `close`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._every = desk.settings.worker_lease / BEATS_PER_LEASE
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    @contextmanager
    def holding(self, claimed: Claim) -> Iterator[None]:
        """Renew this claim for as long as the block runs."""
        with self._lock:
            self._held[claimed.id] = claimed.fence
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(claimed.id, None)

    def close(self) -> None:
        """Stop renewing."""
        self._closed.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._closed.wait(self._every):
            with self._lock:
                held = dict(self._held)
            try:
                lost = held.keys() - outcomes.renew(self._desk, held) if held else set()
            except VitrineError as error:
                log.warning("heartbeat_failed", error=error.code, held=len(held))
                continue
            except Exception:
                log.exception("heartbeat_broke", held=len(held))  # the next one must come all the same
                continue
            with self._lock:
                # What was finished meanwhile is not lost: its outcome has been recorded.
                gone = [
                    analysis_id for analysis_id in lost if self._held.get(analysis_id) == held[analysis_id]
                ]
            for analysis_id in gone:
                log.warning("lease_lost", analysis_id=analysis_id)

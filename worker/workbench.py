"""What a worker process works with: everything that is opened once and closed in the right order."""

from __future__ import annotations

from collections.abc import Collection

from config import Settings
from core.addresses import AddressRules
from core.desk import Desk
from core.queue import BULK, INTERACTIVE, WEBHOOKS
from worker.analyze import Analyzer
from worker.exposition import Exposition
from worker.fetcher import Fetcher
from worker.indexing import Indexer
from worker.leases import Leases
from worker.outbound import Outbound
from worker.postroom import Postroom
from worker.preparer import Preparer
from worker.throttle import Throttle
from worker.upkeep import Upkeep
from worker.vision import Vision

ANALYSES = {INTERACTIVE, BULK}


class Workbench:
    """What analyses need."""

    def __init__(self, desk: Desk, name: str) -> None:
        self.desk, settings = desk, desk.settings
        self._preparer = Preparer(settings.decoder_processes)
        self._vision = Vision(settings)
        self._throttle = Throttle(settings)
        self._leases = Leases(self.desk)
        self.indexer = Indexer(self.desk, self._preparer)
        self._fetcher = Fetcher(self.desk, Outbound(AddressRules.of(settings)))
        self.analyzer = Analyzer(
            self.desk,
            self._fetcher,
            self._preparer,
            self._vision,
            self._throttle,
            self._leases,
            name,
            self.indexer.note,
        )
        self._preparer.warm()
        self._upkeep = Upkeep(self.desk, self._vision, self._throttle, name)

    def stop_claiming(self) -> None:
        """Begin to stop: finish what is asked, leave the rest to others."""
        self.analyzer.stop_claiming()

    def close(self) -> None:
        """Stop the threads, then close what they used."""
        self._upkeep.close()
        self.indexer.close()
        self._leases.close()
        self._vision.close()
        self._throttle.close()
        self._fetcher.close()
        self._preparer.close()


class Workshop:
    """The rooms for the queues that a process serves: a workbench, a postroom, or both.

    Opened when the worker is ready, closed when its last task has ended.
    """

    def __init__(self, settings: Settings, name: str, queues: Collection[str]) -> None:
        self._desk = Desk.open(settings, name=name)
        served = set(queues) or {*ANALYSES, WEBHOOKS}
        self.bench = Workbench(self._desk, name) if served & ANALYSES else None
        self.postroom = Postroom(self._desk, name, reports=self.bench is None) if WEBHOOKS in served else None
        self._exposition = Exposition.open(settings)

    def stop_claiming(self) -> None:
        """Begin to stop: finish what is begun, leave the rest to others."""
        for room in (self.bench, self.postroom):
            if room:
                room.stop_claiming()

    def close(self) -> None:
        """Close the rooms, then what both use."""
        if self._exposition:
            self._exposition.close()
        for room in (self.postroom, self.bench):
            if room:
                room.close()
        self._desk.database.close()


_open: list[Workshop] = []


def open_workshop(settings: Settings, name: str, queues: Collection[str]) -> None:
    """Open this process's workshop, for these queues; for all of them where none is named."""
    _open.append(Workshop(settings, name, queues))


def bench() -> Workbench:
    """The open workbench of this process."""
    assert _open[-1].bench, "no analysis is rung for here"  # noqa: S101  (Celery serves the queues we opened for)
    return _open[-1].bench


def postroom() -> Postroom:
    """The open postroom of this process."""
    assert _open[-1].postroom, "no delivery is rung for here"  # noqa: S101
    return _open[-1].postroom


def stop_claiming() -> None:
    """Begin to stop, where there is something that could."""
    for opened in _open:
        opened.stop_claiming()


def close_workshop() -> None:
    """Close it, where there is one."""
    while _open:
        _open.pop().close()

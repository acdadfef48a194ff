"""The workbench of a worker process: everything that is opened once and closed in the right order."""

from __future__ import annotations

from config import Settings
from core.addresses import AddressRules
from core.desk import Desk
from worker.analyze import Analyzer
from worker.exposition import Exposition
from worker.fetcher import Fetcher
from worker.leases import Leases
from worker.outbound import Outbound
from worker.preparer import Preparer
from worker.throttle import Throttle
from worker.upkeep import Upkeep
from worker.vision import Vision


class Workbench:
    """Opened when the worker is ready, closed when its last task has ended."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.desk = Desk.open(settings, name=name)
        self._preparer = Preparer(settings.decoder_processes)
        self._vision = Vision(settings)
        self._throttle = Throttle(settings)
        self._leases = Leases(self.desk)
        self._fetcher = Fetcher(self.desk, Outbound(AddressRules.of(settings)))
        self.analyzer = Analyzer(
            self.desk, self._fetcher, self._preparer, self._vision, self._throttle, self._leases, name
        )
        self._preparer.warm()
        self._upkeep = Upkeep(self.desk, self._vision, self._throttle, name)
        self._exposition = Exposition.open(settings)

    def stop_claiming(self) -> None:
        """Begin to stop: finish what is asked, leave the rest to others."""
        self.analyzer.stop_claiming()

    def close(self) -> None:
        """Stop the threads, then close what they used."""
        if self._exposition:
            self._exposition.close()
        self._upkeep.close()
        self._leases.close()
        self._vision.close()
        self._throttle.close()
        self._fetcher.close()
        self._preparer.close()
        self.desk.database.close()


_open: list[Workbench] = []


def open_bench(settings: Settings, name: str) -> None:
    """Open this process's workbench."""
    _open.append(Workbench(settings, name))


def bench() -> Workbench:
    """The open workbench of this process."""
    return _open[-1]


def stop_claiming() -> None:
    """Begin to stop, where there is something that could."""
    for opened in _open:
        opened.stop_claiming()


def close_bench() -> None:
    """Close it, where there is one."""
    while _open:
        _open.pop().close()

"""What some worker must do every few seconds: sweep, report that it lives, look at the endpoint, tidy up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog

from core.desk import Desk
from core.errors import VitrineError
from core.queue import INTERACTIVE
from core.services import files, fleet, outcomes
from worker.vision import CallFailed, Vision

SWEEP_SECONDS = 5.0
REPORT_SECONDS = 5.0
PING_SECONDS = 30.0
TIDY_SECONDS = 300.0

log = structlog.get_logger(__name__)


class Upkeep:
    """A thread with a small timetable. A chore that fails is logged and comes round again."""

    def __init__(self, desk: Desk, vision: Vision, name: str) -> None:
        self._desk = desk
        self._vision = vision
        self._name = name
        self._endpoint: dict[str, Any] = {"ok": None, "latency_ms": None, "error": "not looked at yet"}
        self._closed = threading.Event()
        self._chores: list[tuple[float, Callable[[], object]]] = [
            (PING_SECONDS, self._ping),
            (REPORT_SECONDS, self._report),
            (SWEEP_SECONDS, self._sweep),
            (TIDY_SECONDS, self._tidy),
        ]
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the chore in hand and say good-bye."""
        self._closed.set()
        self._thread.join()
        self._do(lambda: fleet.leave(self._desk, self._name))

    def _run(self) -> None:
        due = [0.0] * len(self._chores)
        while not self._closed.is_set():
            for position, (every, chore) in enumerate(self._chores):
                if time.monotonic() >= due[position]:
                    due[position] = time.monotonic() + every
                    self._do(chore)
            self._closed.wait(max(0.0, min(due) - time.monotonic()))

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
        except VitrineError as error:
            log.warning("chore_failed", chore=chore.__name__, error=error.code)
        except Exception:
            log.exception("chore_broke", chore=chore.__name__)

    def _sweep(self) -> None:
        rung = outcomes.sweep(self._desk, bells_waiting=self._desk.doorbell.waiting(INTERACTIVE))
        if rung:
            log.info("rang_again", analyses=len(rung))

    def _report(self) -> None:
        slots = self._desk.settings.worker_concurrency
        fleet.report(self._desk, self._name, slots=slots, endpoint=self._endpoint)

    def _ping(self) -> None:
        try:
            seconds = self._vision.ping()
        except CallFailed as failure:
            self._endpoint = {"ok": False, "latency_ms": None, "error": failure.error.message}
        else:
            self._endpoint = {"ok": True, "latency_ms": round(seconds * 1000, 1), "error": None}

    def _tidy(self) -> None:
        files.collect_abandoned(self._desk)
        fleet.forget(self._desk, timedelta(days=1))

"""Chores that come round: what a worker does beside its tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import wraps

import structlog

from core.errors import VitrineError

log = structlog.get_logger(__name__)

Chore = Callable[[], object]


class Timetable:
    """A thread that does chores, each every so many seconds; one that fails comes round again."""

    def __init__(self, name: str, chores: list[tuple[float, Chore]]) -> None:
        self._chores = chores
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the chore in hand."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        due = [0.0] * len(self._chores)
        while not self._closed.is_set():
            now = time.monotonic()  # once: what is due together is done by one waking
            for position, (every, chore) in enumerate(self._chores):
                if now >= due[position]:
                    due[position] = now + every
                    done(chore)
            self._closed.wait(max(0.0, min(due) - time.monotonic()))


def only_if(condition: Callable[[], bool], chore: Chore) -> Chore:
    """The chore, done where the condition holds, such as that this process leads."""

    @wraps(chore)
    def conditional() -> None:
        if condition():
            chore()

    return conditional


def for_a_while(chore: Callable[[], int], seconds: float) -> None:
    """Do a chore bit by bit until nothing is left of it, or its time is up until the next round."""
    end = time.monotonic() + seconds
    while chore() and time.monotonic() < end:
        pass


def done(chore: Chore) -> None:
    """Do a chore; what goes wrong is logged."""
    try:
        chore()
    except VitrineError as error:
        log.warning("chore_failed", chore=chore.__name__, error=error.code)
    except Exception:
        log.exception("chore_broke", chore=chore.__name__)

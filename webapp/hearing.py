"""What workers tell of answers that are being made: read by one thread per process, however many follow them.

A log is read from its beginning when the first follows it, and kept for as long as anybody does; so who comes
later is given all of it, and who follows reads no Redis.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask import Flask, current_app

from core.events import Entry, Events, end_of, log_of
from core.ids import new_id

WAIT_SECONDS = 2.0
PACE_SECONDS, LONGEST_PACE = 0.001, 0.2
"""Between two reads, for each log: what comes meanwhile is read together."""

log = structlog.get_logger(__name__)


class Log:
    """What was told of one answer so far."""

    def __init__(self) -> None:
        self._entries: list[dict[str, str]] = []
        self._news = threading.Condition()
        self._is_over = False
        self.behind = "0"
        self.followers = 0

    @property
    def is_over(self) -> bool:
        """Whether the analysis was told to be final."""
        return self._is_over

    def after(self, count: int, seconds: float) -> list[dict[str, str]]:
        """What follows the first entries, as soon as there is something, or it is over, or the time is up."""
        with self._news:
            self._news.wait_for(lambda: len(self._entries) > count or self._is_over, seconds)
            return self._entries[count:]

    def add(self, entries: list[Entry], *, is_over: bool) -> None:
        """Give what was read to who follows it."""
        with self._news:
            self._entries += [fields for _, fields in entries]
            self.behind = entries[-1][0] if entries else self.behind
            self._is_over = self._is_over or is_over
            self._news.notify_all()


class Hearing:
    """The logs that this process follows."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._logs: dict[str, Log] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._name = new_id("web")
        self._called = "0"

    @contextmanager
    def following(self, subject: str) -> Iterator[Log]:
        """The log of a subject while the block runs."""
        with self._changed:
            is_new = subject not in self._logs
            followed = self._logs.setdefault(subject, Log())
            followed.followers += 1
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)
                self._thread.start()
        if is_new:
            self._events.call(self._name)  # the thread is waiting for the others
        try:
            yield followed
        finally:
            with self._changed:
                followed.followers -= 1
                if not followed.followers:
                    del self._logs[subject]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._logs)
                logs = dict(self._logs)
            try:
                self._read(logs)
            except Exception:
                log.exception("hearing_broke")  # who follows goes by the database meanwhile
                time.sleep(WAIT_SECONDS)
            time.sleep(min(LONGEST_PACE, PACE_SECONDS * len(logs)))

    def _read(self, logs: dict[str, Log]) -> None:
        places = {log_of(subject): one.behind for subject, one in logs.items()}
        places |= {end_of(subject): "0" for subject, one in logs.items() if not one.is_over}
        found = self._events.read(places | {end_of(self._name): self._called}, WAIT_SECONDS) or {}
        if called := found.get(end_of(self._name)):
            self._called = called[-1][0]
        for subject, one in logs.items():
            told, is_over = found.get(log_of(subject), []), end_of(subject) in found
            if told or is_over:
                one.add(told, is_over=is_over)


def register(app: Flask, events: Events) -> None:
    """Give the app its hearing."""
    app.extensions["hearing"] = Hearing(events)


def hearing() -> Hearing:
    """The hearing of this app."""
    found: Hearing = current_app.extensions["hearing"]
    return found

"""Live events, however often the connection breaks; read by a thread, so that Ctrl-C is noticed meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from queue import Empty, SimpleQueue

from sseclient import Event

from cli.connection import Refused
from cli.failure import Unreachable
from cli.interrupt import SLICE, Interrupt

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0)
"""Seconds before each new try to connect, of those that follow each other."""
PASSING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
DONE = "done"

Connect = Callable[[str | None], Iterator[Event]]
"""Opens the stream behind the event of an id."""


def heard(connect: Connect, interrupt: Interrupt, say: Callable[[str], None]) -> Iterator[Event | None]:
    """Every event up to `done`, and None while none comes. Raises Refused, Unreachable, StoppedSending."""
    queue: SimpleQueue[Event | Exception] = SimpleQueue()

    def read() -> None:
        try:
            for event in _resumed(connect, interrupt, say):
                queue.put(event)
        except Exception as problem:  # noqa: BLE001 - it is raised where somebody reads
            queue.put(problem)

    threading.Thread(target=read, name="listening", daemon=True).start()
    while True:
        try:
            found = queue.get(timeout=SLICE)
        except Empty:
            yield None
            continue
        if isinstance(found, Exception):
            raise found
        yield found
        if found.event == DONE:
            return


def _resumed(connect: Connect, interrupt: Interrupt, say: Callable[[str], None]) -> Iterator[Event]:
    """The events of one stream after the other, until one of them says that it is done."""
    last: str | None = None
    pauses = iter(PAUSES)
    while True:
        problem: Refused | Unreachable = Unreachable("The stream ended before the answer did.")
        try:
            for event in connect(last):
                last, pauses = event.id or last, iter(PAUSES)
                yield event
                if event.event == DONE:
                    return
        except Unreachable as broken:
            problem = broken
        except Refused as refusal:
            if refusal.status not in PASSING:
                raise
            problem = refusal
        pause = next(pauses, None)
        if pause is None or interrupt.asked:
            raise problem
        say(f"{problem.message} Going on in {pause:.0f} s.")
        interrupt.sleep(pause)

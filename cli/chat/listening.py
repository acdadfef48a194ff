"""An answer followed live by a thread, so that Ctrl-C is noticed while nothing comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http import HTTPStatus
from queue import Empty, SimpleQueue

from cli.connection import Connection
from cli.following import DONE, PASSING, Connect, Follower, News
from cli.interrupt import SLICE

NAMES = {"status", "token", "result", "error", DONE}
WAITED_OUT = {*PASSING, HTTPStatus.SERVICE_UNAVAILABLE}


def heard(connect: Connect, connection: Connection) -> Iterator[News | None]:
    """Every event up to `done`, and None while none comes. Raises Refused, Unreachable, StoppedSending."""
    queue: SimpleQueue[News | Exception] = SimpleQueue()
    follower = Follower(connect, connection, NAMES, WAITED_OUT)

    def read() -> None:
        try:
            for news in follower.news():
                queue.put(news)
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
        if found.name == DONE:
            return

"""Live streams (server-sent events), and how many requests may stay: never so many that the others starve.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, current_app, request

from core.errors import Unavailable
from webapp import stopping

HEARTBEAT = ": still here\n\n"
HEARTBEAT_SECONDS = 10.0
FAREWELL = "retry: 1000\nevent: closing\ndata: {}\n\n"
"""Clients connect again after so many milliseconds, with the id of the last event that they saw."""
RETRY_AFTER = 10.0
KEPT_FREE = 16
"""Threads of a process for requests that do not stay: streams and those that wait may take the others."""


class StreamsFull(Unavailable):
    """This server has as many live streams open as it can: poll, or try again shortly."""


class Seat:
    """The place of one stream."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._freeing = [free]
        self.is_taken = False

    def response(self, events: Iterator[str]) -> Response:
        """A response that streams the events, and keeps the place for as long."""
        response = Response(events, mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
        response.call_on_close(self.free)
        self.is_taken = True
        return response

    def free(self) -> None:
        """Give it to others, once however often a response is closed."""
        while self._freeing:
            self._freeing.pop()()


class Streams:
    """Counts the open streams of this process, and the requests that wait for an answer."""

    def __init__(self, threads: int) -> None:
        self._free = threading.BoundedSemaphore(max(1, threads - KEPT_FREE))

    def response(self, events: Iterator[str]) -> Response:
        """A response that streams the events. Raises StreamsFull where there are too many already."""
        with self.seat() as seat:
            return seat.response(events)

    @contextmanager
    def seat(self) -> Iterator[Seat]:
        """A place for a stream, taken before anything is asked; free again where no response was made of it.

        Raises StreamsFull.
        """
        if not self._free.acquire(blocking=False):
            raise StreamsFull(retry_after=RETRY_AFTER)
        seat = Seat(self._free.release)
        try:
            yield seat
        finally:
            if not seat.is_taken:
                seat.free()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """A place for a request that waits; False where too many stay already, who then should not."""
        taken = self._free.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._free.release()


def watch_for_hang_up() -> Callable[[], bool]:
    """Tells whether the client of this request has gone.

    A write to a closed connection fails only the second time, which is two heartbeats later; until then a
    stream would hold its place for nobody.
    """
    connection = request.environ.get("gunicorn.socket")

    def has_hung_up() -> bool:
        try:
            return connection is not None and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    return has_hung_up


def watch_for_end() -> Callable[[], bool]:
    """Tells whether the stream of this request should end: its client has gone, or this process stops."""
    has_hung_up = watch_for_hang_up()
    return lambda: stopping.has_begun() or has_hung_up()


def with_farewell(events: Iterator[str]) -> Iterator[str]:
    """The events, and where the process stops a word for the client: connect again, to another."""
    yield from events
    if stopping.has_begun():
        yield FAREWELL


def register(app: Flask, threads: int) -> None:
    """Give the app its streams."""
    app.extensions["streams"] = Streams(threads)


def streams() -> Streams:
    """The streams of this app."""
    found: Streams = current_app.extensions["streams"]
    return found


def event(name: str, data: Any, event_id: str | None = None) -> str:
    """One event on the wire; data is JSON on a single line."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, default=str)}\n\n"

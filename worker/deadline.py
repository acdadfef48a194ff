"""The end of a conversation with somebody else's server, wherever it stands by then."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self


class Deadline:
    """Cuts the watched sockets after so many seconds; use it as a context.

    The timeouts of a socket are for each read, and whoever sends a byte at a time never meets one.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._copies: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            while self._copies:
                self._copies.pop().close()

    @property
    def left(self) -> float:
        """Seconds until the end, a little where it has passed: a timeout of 0 has a meaning of its own."""
        return max(self._end - time.monotonic(), 0.001)

    @property
    def passed(self) -> bool:
        """Whether the end has come."""
        return time.monotonic() >= self._end

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection at the end."""
        with self._lock:
            # A copy, since TLS takes the socket over; both are ends of the one connection.
            self._copies.append(connection.dup())
        if self.passed:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            for copy in self._copies:
                with suppress(OSError):  # the other side was faster
                    copy.shutdown(socket.SHUT_RDWR)

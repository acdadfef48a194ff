"""gunicorn's threads, except that closing waits for no client, and that a process that stops says so.

gunicorn 27 drains a connection before it closes it, for up to two seconds and in the one thread that accepts:
a hundred clients that ask for `Connection: close` and do not hang up would stop a process for minutes. When
it is to stop, it leaves its listeners open: the kernel would go on to take connections that nobody accepts.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from webapp import stopping

LINGER_SECONDS = 2.0
PIECE = 65_536


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Answers requests in threads; connections that are being closed wait where idle ones do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._closing: deque[TConn] = deque()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Let whoever waits or watches know as well, from the loop: this is a signal's handler."""
        super().handle_exit(sig, frame)
        self.method_queue.defer(stopping.begin)

    def set_accept_enabled(self, enabled: bool) -> None:
        """When it stops, take who has connected already, and let the others be refused at once."""
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            accepted = -1
            while accepted != self.nr_conns:
                accepted = self.nr_conns
                self.accept(listener)
            listener.close()

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Close a connection that is not kept alive; everything else is gunicorn's."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError):  # it is gone already
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._closing.append(conn)

    def murder_pending(self) -> None:
        """Hang up on those whose time is up, once in every turn of the loop."""
        super().murder_pending()
        while self._closing and self._closing[0].timeout <= time.monotonic():
            self._hang_up(self._closing[0])

    def _drain(self, conn: TConn, _sock: socket.socket) -> None:
        """Drop what a client still sends: unread, it would make the kernel cut off our answer."""
        try:
            ended = not conn.sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._hang_up(conn)

    def _hang_up(self, conn: TConn) -> None:
        self._closing.remove(conn)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

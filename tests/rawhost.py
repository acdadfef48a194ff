"""A host of images or hooks that says exactly what a test wants, byte by byte."""

import socket
import threading
from contextlib import suppress

OUTSIDE = "127.0.0.2"
"""Stands for an address in an allowed network."""


class RawHost:
    """Listens on both loopback addresses under one port, or on one address; use it as a context.

    speak: what to do with each connection once the head of a request is there: `speak(connection, head)`.
    """

    def __init__(self, speak=lambda *_: None, tls=None, address=None):
        self.speak = speak
        """May be changed between requests."""
        self._tls = tls
        self._open = []
        self.heads = []
        """The heads of the requests."""
        self.connections = 0
        """How often somebody connected, whatever they said."""
        self._address = address or "127.0.0.1"
        self._listeners = [_listener(socket.AF_INET, self._address, 0)]
        self.port = self._listeners[0].getsockname()[1]
        if address is None:
            with suppress(OSError):  # a machine without IPv6
                self._listeners.append(_listener(socket.AF_INET6, "::1", self.port))

    def url(self, path="/"):
        return f"{'https' if self._tls else 'http'}://{self._address}:{self.port}{path}"

    def __enter__(self):
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=[listener], daemon=True).start()
        return self

    def __exit__(self, *_):
        for end in (*self._listeners, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener):
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := connection.recv(65536)):
                    return
                head += piece
            self.heads.append(head.decode("latin-1"))
            self.speak(connection, self.heads[-1])
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def answering(status, body=b"", **headers):
    """Speaks a whole answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in named.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""])
    return lambda connection, _: connection.sendall(head.encode() + body)


def _listener(family, address, port):
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener

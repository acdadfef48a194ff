"""A receiver of webhooks that behaves as it is told, and writes down what came."""

import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from endpoint import LOOKS_EVERY


@dataclass
class Message:
    """One request."""

    path: str
    headers: dict
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self):
        return self.headers["webhook-id"]


class Receiver:
    """Answers as `behave` says: a status, or a function of the handler that answers itself."""

    def __init__(self):
        self.messages = []
        self.behave = 204
        self.closed = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.messages.append(Message(self.path, headers, body))
                behave = receiver.behave
                if callable(behave):
                    behave(self)
                else:
                    answer(self, behave)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass

        self._make = lambda port: Server(("127.0.0.1", port), Handler)
        self._server = None
        self.port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def start(self):
        """Listen; after a stop at the same port again."""
        self._server = self._make(self.port)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=[LOOKS_EVERY], daemon=True).start()

    @property
    def ids(self):
        return [message.id for message in self.messages]

    def hang(self, handler):
        """Say nothing until the receiver is stopped, or the sender has had enough."""
        self.closed.wait(60)
        handler.close_connection = True

    def stop(self):
        self.closed.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def answer(handler, status, body=b"", **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def redirect_to(url):
    return lambda handler: answer(handler, 302, Location=url)


def too_much(handler):
    """Ten megabytes after a 200."""
    handler.send_response(200)
    handler.send_header("Content-Length", "10000000")
    handler.end_headers()
    for _ in range(160):
        handler.wfile.write(b"x" * 62_500)


def close_early(handler):
    """Break the connection off instead of answering."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True

"""An endpoint that types what a test tells it to, when it is told to; and what a client makes of a stream."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

from endpoint import LOOKS_EVERY, completion

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class Typist:
    """Answers every call by what comes next: pieces of text, then an end or a break."""

    def __init__(self):
        self._keys = SimpleQueue()
        self.calls = []
        self.streams = True
        self.hung_up = threading.Event()
        typist = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                keys = typist._keys
                typist.calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                if not typist.streams or not typist.calls[-1].get("stream"):
                    typist._say(self, keys)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):
                    typist._type(self, keys)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=[LOOKS_EVERY], daemon=True).start()

    def type(self, *pieces):
        """Say these pieces, one after the other."""
        for piece in pieces:
            self._keys.put(piece)

    def end(self):
        """Finish the answer."""
        self._keys.put(None)

    def break_off(self):
        """Close the connection in the middle of the answer."""
        self._keys.put(ConnectionAbortedError)

    def leave(self):
        """Type no more for the open call: what comes is for the next one. Gives what breaks it off."""
        keys, self._keys = self._keys, SimpleQueue()
        return lambda: keys.put(ConnectionAbortedError)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _type(self, handler, keys):
        while True:
            piece = keys.get()
            if piece is ConnectionAbortedError:
                handler.close_connection = True
                return
            try:
                if piece is None:
                    self._send(handler, {"choices": [_choice({}, "stop")]}, {"choices": [], "usage": USAGE})
                    handler.wfile.write(b"0\r\n\r\n")
                    return
                self._send(handler, {"choices": [_choice({"content": piece}, None)]})
            except OSError:
                self.hung_up.set()
                raise

    def _say(self, handler, keys):
        """All of it in one piece, where no stream was asked for."""
        body = json.dumps(completion("".join(iter(keys.get, None)))).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _send(self, handler, *chunks):
        for chunk in chunks:
            line = b"data: " + json.dumps({"id": "up-1", "model": "m", **chunk}).encode() + b"\n\n"
            handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")


def _choice(delta, finish):
    return {"index": 0, "delta": delta, "finish_reason": finish}


class Event:
    """A server-sent event."""

    def __init__(self, text):
        fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
        self.name, self.id = fields.get("event"), fields.get("id")
        self.data = json.loads(fields.get("data", "null"))

    def __repr__(self):
        return f"{self.name} {self.id} {self.data}"


def events(chunks):
    """The events in the chunks of a body, as they come; comments are left out."""
    held = ""
    for chunk in chunks:
        held += chunk.decode() if isinstance(chunk, bytes) else chunk
        while "\n\n" in held:
            text, held = held.split("\n\n", 1)
            if not text.startswith(":"):
                yield Event(text)


def text_of(told):
    return "".join(event.data["text"] for event in told if event.name == "token")


def stages_of(told):
    return [event.data["status"] for event in told if event.name == "status"]

"""The only thing the tests fake: the vision endpoint. Either the pixel analyst as a process, or a script."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from openai import OpenAI

from local.parent_death import signal_on_parent_death

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LOOKS_EVERY = 0.02
"""Seconds between two looks of a server whether it is to stop; by default half of one."""
WITH_US = signal_on_parent_death(signal.SIGTERM)
"""For `preexec_fn`: a process that is stopped when the tests are killed. Not for threads to start."""
HANGS_UP = 0
"""A status of a script's: what it says is sent as it is, and then it hangs up."""


class Analyst:
    """A running analyst and the few things tests ask of it."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "local.analyst", "--port", "0", *flags]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=WITH_US,  # noqa: PLW1509 - only a system call
        )
        self.line = self.process.stdout.readline()
        self.base_url = self.line.split()[-1]
        self.root = self.base_url.removesuffix("/v1")
        self.defaults = requests.get(f"{self.root}/control/knobs", timeout=5).json()
        self.client = OpenAI(base_url=self.base_url, api_key="unused", max_retries=0, timeout=20)

    def turn(self, **knobs: Any) -> requests.Response:
        return requests.put(f"{self.root}/control/knobs", json=knobs, timeout=5)

    def reset(self) -> None:
        self.turn(**self.defaults)
        requests.delete(f"{self.root}/control/ledger", timeout=5)

    def ledger(self, **query: int) -> dict[str, Any]:
        return requests.get(f"{self.root}/control/ledger", params=query, timeout=5).json()

    def post(self, body: Any, timeout: float = 20, **options: Any) -> requests.Response:
        return requests.post(f"{self.base_url}/chat/completions", json=body, timeout=timeout, **options)

    def stop(self) -> tuple[int, str]:
        self.process.terminate()
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


def completion(
    text: str | None, *, finish: str = "stop", refusal: str | None = None, **usage: int
) -> dict[str, Any]:
    """What an endpoint answers when all goes well."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, **usage}
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "up-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


class Script:
    """An endpoint that answers what it is told, in order; each entry is (status, body, headers)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any, dict[str, str]]] = []
        self.calls: list[dict[str, Any]] = []
        self.delay = 0.0
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.calls.append(
                    {"body": body, "headers": {name.lower(): value for name, value in self.headers.items()}}
                )
                time.sleep(script.delay)
                status, answer, headers = script.answers.pop(0)
                content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                if status == HANGS_UP:
                    self.wfile.write(content)
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=[LOOKS_EVERY], daemon=True).start()

    def say(self, answer: Any, status: int = 200, **headers: str) -> None:
        self.answers.append(
            (status, answer, {name.replace("_", "-"): value for name, value in headers.items()})
        )

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

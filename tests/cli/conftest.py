"""The real command as a process, in an empty folder, with no environment but what a test says."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from endpoint import LOOKS_EVERY
from waiting import PATIENCE

COMMAND = Path(sys.executable).parent / "vitrine"
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Of the environment of the tests; PYTHONPATH says which tree is tested."""


class Command:
    """The `vitrine` command of one user."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        # A stack that happens to run beside the code is not meant.
        self.environment |= {"HOME": str(folder), "VITRINE_HOME": str(folder / "no-home"), **environment}

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def __call__(self, *arguments, given=None):
        process = self.start(*arguments, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE)
        return self.end(process, given)

    def end(self, process, given=None):
        out, err = process.communicate(given, timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out.decode(), err.decode())

    def interrupt(self, process, ready, *, twice=None):
        """Press Ctrl-C once something has happened, and again once something else has."""
        for happened in filter(None, (ready, twice)):
            end = time.monotonic() + PATIENCE
            while not happened():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end, "it did not happen in time"
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
        return self.end(process)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def write_unreadable(self, folder):
        """Names of images that nobody can read, in a folder that is there; what would be said of each."""
        os.mkfifo(self.folder / folder / "pipe.jpg")
        (self.folder / folder / "gone.jpg").symlink_to("nowhere.jpg")
        (self.folder / folder / "loop.jpg").symlink_to("loop.jpg")
        (self.folder / folder / "empty.jpg").touch()
        return {
            "pipe.jpg": "not a file with content.",
            "gone.jpg": "there is no such file.",
            "loop.jpg": "cannot be read: Too many levels of symbolic links.",
            "empty.jpg": "it is an empty file, not an image.",
        }


@pytest.fixture
def nobody(tmp_path):
    """A user who has set nothing up."""
    return Command(tmp_path)


@pytest.fixture(scope="module")
def help_of(tmp_path_factory):
    """What a command says of itself to who has set nothing up; asked once."""
    return functools.cache(lambda *command: Command(tmp_path_factory.mktemp("nobody"))(*command, "--help"))


@pytest.fixture
def session(quick):
    return quick.session()


@pytest.fixture
def vitrine(quick, session, tmp_path):
    """A user with a key to the live system; an account of their own."""
    key = session.headers["Authorization"].removeprefix("Bearer ")
    return Command(tmp_path, VITRINE_URL=quick.url, VITRINE_API_KEY=key)


@pytest.fixture
def analyses(quick, session):
    """What the user's account has."""

    def listing():
        return session.get(f"{quick.url}/api/v1/analyses?limit=100", timeout=10).json()["data"]

    return listing


class Scripted:
    """A server that answers as it is told: (status, body, headers), or None to hang up."""

    def __init__(self):
        self.answers = []
        self.asked = []
        self.slowly = 0.0
        """Seconds that it takes over each 64 kB it reads."""
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                script.asked.append((self.command, self.path, dict(self.headers)))
                left = int(self.headers.get("Content-Length") or 0)
                while left and (piece := self.rfile.read(min(left, 65_536))):
                    left -= len(piece)
                    time.sleep(script.slowly)
                if left:
                    return
                self.answer(script.answers.pop(0) if len(script.answers) > 1 else script.answers[0])

            do_GET = do_DELETE = do_POST  # noqa: N815 - the names that http.server looks for

            def answer(self, told):
                if callable(told):
                    told = told()
                if told is None:
                    self.close_connection = True
                    return
                status, body, headers = told
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[LOOKS_EVERY], daemon=True).start()

    def say(self, body, status=200, **headers):
        answer = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        self.answers.append(answer)

    def hang_up(self):
        self.answers.append(None)

    @property
    def methods(self):
        return [method for method, _, _ in self.asked]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def scripted():
    server = Scripted()
    yield server
    server.stop()


@pytest.fixture
def scripted_user(scripted, tmp_path):
    return Command(tmp_path, VITRINE_URL=scripted.url, VITRINE_API_KEY="vt_scripted-secret")


def analysis(**more):
    """An analysis as the API shows it."""
    return {
        "id": "an_01kaj3c0dpw8w0z3f6s9q2xk7v",
        "object": "analysis",
        "status": "completed",
        "reason": None,
        "preset": "question",
        "preset_version": 1,
        "model": "m",
        "question": "?!",
        "context": None,
        "metadata": {},
        "images": [{"file_name": "p.jpg", "file_size": 10}],
        "answer": "It is red.",
        "data": None,
        "confidence": None,
        "error": None,
        "usage": {"total_tokens": 12},
        "cost": {"total_cost": 0.00042, "currency": "USD"},
        "attempts": 1,
        "processing_time": 0.5,
        "created_at": "2026-11-21T04:00:00+00:00",
        "request_id": "req_1",
        **more,
    }


@pytest.fixture(name="analysis")
def analysis_maker():
    return analysis


def refusal(code, message):
    return {"success": False, "error": message, "error_code": code, "request_id": "req_7", "details": {}}


@pytest.fixture(name="refusal")
def refusal_maker():
    return refusal

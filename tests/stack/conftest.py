"""Real stacks in homes of their own, started as `python3 dev up` starts them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from endpoint import WITH_US
from waiting import PATIENCE

from local import leftovers
from local.home import ROOT, Home
from local.ports import free_port

GIVEN = (
    "DATABASE_URL",
    "REDIS_URL",
    "STORAGE_URL",
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
    "VISION_MODEL",
    "HOST",
)


class Launch:
    """One `up` in a home: its process, and what it has said."""

    def __init__(self, output, home, port=None, **environ):
        self.home = Home(home)
        self.port = port or free_port()
        self.output = output
        clean = {name: value for name, value in os.environ.items() if name not in GIVEN}
        clean |= {"VITRINE_HOME": str(home), "PORT": str(self.port), "WEB_PROCESSES": "1"} | environ
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local", "up"],
                cwd=ROOT,
                env=clean,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=WITH_US,  # noqa: PLW1509 - only a system call
            )

    @property
    def said(self):
        return self.output.read_text()

    @property
    def addresses(self):
        return json.loads(self.home.addresses.read_text())

    def until(self, ready):
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def until_up(self):
        return self.until_it_says("Ctrl-C stops everything")

    def until_it_says(self, words):
        self.until(lambda: words in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        return self

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.status()

    def status(self):
        return self.process.wait(PATIENCE)

    def part(self, name):
        """The processes of one part; '' is the process manager."""
        return [process for process, part in leftovers.find(self.home).items() if part == name]

    def belongs(self, process):
        """Whether a process works in the home or was started with a path in it, whatever its marks."""
        with contextlib.suppress(psutil.Error, OSError):
            words = [process.cwd(), *process.cmdline()]
            return any(word.startswith(str(self.home.path)) for word in words)
        return False

    def leaves_nothing(self):
        assert self.process.poll() is not None
        names = {path.name for path in self.home.path.iterdir()}
        assert leftovers.find(self.home) == {}
        assert [process for process in psutil.process_iter() if self.belongs(process)] == []
        assert not names & {"lock", "local.json", "run_folder"}
        assert not (self.home.path / "postgres" / "postmaster.pid").exists()


@pytest.fixture(scope="module")
def home():
    """A home below a private folder would make root's Postgres move out, so it is not pytest's own."""
    with _public_folder() as folder:
        yield folder / "home"


@contextlib.contextmanager
def _public_folder():
    with tempfile.TemporaryDirectory(prefix="vitrine-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def launch(tmp_path):
    """Starts stacks, and ends at once whatever a failed test left of them."""
    made = []

    def start(*args, **kwargs):
        made.append(Launch(tmp_path / f"up-{len(made)}.out", *args, **kwargs))
        return made[-1]

    yield start
    for launched in made:
        with contextlib.suppress(psutil.Error):
            launched.process.kill()
            launched.process.wait()
        leftovers.kill(launched.home)
        if launched.home.path.is_dir():
            leftovers.remove_files(launched.home)

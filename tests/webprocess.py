"""One gunicorn process on its own, whose memory and open files tests look at."""

import contextlib
import os
import re
import socket
import subprocess
from pathlib import Path

import requests
from endpoint import BIN, ROOT, WITH_US
from waiting import wait_until

from local.ports import free_port


class WebProcess:
    """`pid` is the process that serves, not the one that minds it."""

    def __init__(self, environment, folder, **more):
        self.port, self.folder = free_port(), folder
        self.url = f"http://127.0.0.1:{self.port}"
        log = folder / f"web-{self.port}.log"
        own = {"PORT": str(self.port), "WEB_PROCESSES": "1", "TMPDIR": str(folder), **more}
        with log.open("wb") as sink:
            self._minder = subprocess.Popen(
                [BIN / "gunicorn", "wsgi:app"],
                cwd=ROOT,
                env={**os.environ, **environment, **own},
                stdout=sink,
                stderr=sink,
                preexec_fn=WITH_US,  # noqa: PLW1509 - only a system call
            )
        wait_until(self._answers)
        children = Path(f"/proc/{self._minder.pid}/task/{self._minder.pid}/children")
        self.pid = int(children.read_text().split()[0])

    def stop(self):
        """Ask it to stop, and wait until it has: less than the time after which it would be made to."""
        self._minder.terminate()
        self._minder.wait(25)

    def takes_connections(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def memory(self, name):
        """VmRSS (now) or VmHWM (at most) in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1_024

    def most_memory_during(self, action):
        """What an action gives, and how far memory rose above where it stood, in bytes."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # VmHWM starts again from VmRSS
        before = self.memory("VmRSS")
        result = action()
        return result, self.memory("VmHWM") - before

    def spools(self):
        """Temporary files that are open; they have no name, and go when they are closed."""
        return [link for link in self._open() if link.startswith(str(self.folder)) and "(deleted)" in link]

    def open_sockets(self):
        """How many sockets are open: the listener's, clients', the database's."""
        return sum(link.startswith("socket:") for link in self._open())

    def _open(self):
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                yield str(path.readlink())

    def _answers(self):
        try:
            return requests.get(f"{self.url}/health", timeout=2).ok
        except requests.RequestException:
            return False

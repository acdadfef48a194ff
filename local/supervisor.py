"""The process manager: starts parts, starts again what dies, stops them in reverse order.

It is supervisord, with a configuration made here and driven through its socket.
"""

import contextlib
import http.client
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from local import interrupts
from local.failures import LocalError, PartEnded, last_lines
from local.files import write_private
from local.home import ROOT
from local.parent_death import signal_on_parent_death
from local.parts import Part
from local.supervisor_settings import configured

START_SECONDS = 15.0
GONE_SECONDS = 5.0
STOPPED_BY_ITSELF = {"BACKOFF", "EXITED", "FATAL"}


class Supervisor:
    """One running process manager for these parts, in starting order."""

    def __init__(self, run: Path, logs: Path, parts: Sequence[Part]) -> None:
        self.logs = logs
        self.parts = parts
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, environ: Mapping[str, str]) -> None:
        """Start the manager itself, not yet the parts. Raises LocalError if it does not come up."""
        (self._run / "log").symlink_to(self.logs)
        configuration = self._run / "supervisor.conf"
        write_private(configuration, configured(self._run, self.parts))
        console = self._run / "supervisor.out"
        with console.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(configuration)],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who then stop the parts in order
                preexec_fn=signal_on_parent_death(signal.SIGTERM),  # noqa: PLW1509 - only a system call
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LocalError(f"The process manager did not start:{last_lines(console.read_text())}")
            time.sleep(0.05)

    @property
    def _rpc(self) -> Any:
        """The manager's interface, over a new connection: one that failed once stays unusable."""
        transport = SupervisorTransport(None, None, f"unix://{self._run / 'supervisor.sock'}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
            return bool(self._rpc.getState())
        return False

    def _ask(self, method: str, *arguments: str | bool) -> Any:
        """Call the manager. Raises LocalError if it is gone."""
        try:
            return getattr(self._rpc, method)(*arguments)
        except (OSError, http.client.HTTPException):
            self.wait(GONE_SECONDS)
            raise

    def begin(self, part: Part) -> None:
        """Start a part without waiting for it."""
        wait = False
        self._ask("startProcessGroup", part.name, wait)

    def await_ready(self, part: Part, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until a part is ready. Raises LocalError, with the end of its log, if it never is."""
        deadline = time.monotonic() + seconds
        pids: dict[str, int] = {}
        while not ready():
            interrupts.check()
            if failed := self._ended(part, pids):
                raise PartEnded(f"{failed} ended while starting:{self.log_end(failed)}")
            if time.monotonic() > deadline:
                name = part.processes[0]
                raise LocalError(f"{part.name} was not ready within {seconds:.0f} s:{self.log_end(name)}")
            time.sleep(0.1)

    def _ended(self, part: Part, pids: dict[str, int]) -> str | None:
        """Which process of a part ended, started again meanwhile or not; `pids` are those seen before."""
        for info in self._ask("getAllProcessInfo"):
            if info["group"] != part.name:
                continue
            name, pid = str(info["name"]), info["pid"]
            if info["statename"] in STOPPED_BY_ITSELF or (pid and pids.setdefault(name, pid) != pid):
                return name
        return None

    def log_end(self, process: str) -> str:
        """The last lines of a process's log and where to read the rest."""
        log = self.logs / f"{process}.log"
        with contextlib.suppress(OSError):
            return f"{last_lines(log.read_text(errors='replace'))}\n  (all of it: {log})"
        return ""

    @property
    def is_running(self) -> bool:
        """Whether the manager itself was started and lives."""
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float | None = None) -> None:
        """Wait for as long as the manager lives. Raises LocalError when it ends, as it never should."""
        interrupts.check()
        if self._process is not None:
            status = self._process.wait(seconds)
            reason = f"signal {-status}" if status < 0 else f"status {status}"
            raise LocalError(f"The process manager died ({reason}); everything was stopped. Start again.")

    def stop(self) -> None:
        """Stop all parts in reverse order, then the manager; whatever holds out is the caller's."""
        if self._process is None:
            return
        self._process.terminate()
        deadline = time.monotonic() + sum(part.stop_seconds for part in self.parts) + 5
        while self.is_running and time.monotonic() < deadline:
            # It notices a stopped part only once a second, unless a request wakes it up.
            self._answers()
            time.sleep(0.1)

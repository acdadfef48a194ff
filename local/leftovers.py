"""Finds and stops the processes of a stack whose parent is gone, and no others.

Every process of a stack carries its home in its environment. Whoever holds the home's lock knows that
no other stack is alive for it, so what carries the mark is left over. Processes are ended by identity
(psutil compares start times too), never by name.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from local.files import read_or_none
from local.home import Home

MARK = "VITRINE_STACK"
GROUP = "SUPERVISOR_GROUP_NAME"  # set by supervisord for what it starts
MANAGER = ""
# Each of these is stopped before the next: the manager stops its parts by itself, and in order.
ORDER = (
    (MANAGER,),
    ("flower",),
    ("worker",),
    ("interactive", "webhooks"),
    ("web",),
    ("analyst",),
    ("valkey",),
    ("postgres",),
)
KILL_SECONDS = 5.0
PATIENCE_SECONDS = {MANAGER: 60.0, "worker": 20.0, "interactive": 20.0}


def find(home: Home) -> dict[psutil.Process, str]:
    """The processes that carry a home's mark, each with the part it belongs to; '' is the manager."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environ = process.environ()
            if environ.get(MARK) == str(home.path) and process.pid not in own:
                found[process] = environ.get(GROUP, MANAGER)
    return found


def stop(home: Home) -> int:
    """Stop what is left of an earlier run, in reverse order of starting; returns how many there were."""
    count = len(find(home))
    for names in ORDER:
        found = [process for process, part in find(home).items() if part in names]
        _end(found, PATIENCE_SECONDS.get(names[0], 10.0), fast_database=names == ("postgres",))
    kill(home)
    return count


def kill(home: Home) -> None:
    """End at once whatever still carries the mark."""
    for _ in range(3):  # a process may have started another one in the meantime
        found = list(find(home))
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        _wait(found, KILL_SECONDS)


def _end(processes: Iterable[psutil.Process], seconds: float, *, fast_database: bool) -> None:
    found = list(processes)
    for process in found:
        with contextlib.suppress(psutil.Error):
            if fast_database:
                process.send_signal(signal.SIGINT)
            else:
                process.terminate()
    alive = _wait(found, seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait(alive, KILL_SECONDS)


def _wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for processes to end; returns those that have not."""
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.05)
    return []


def _is_alive(process: psutil.Process) -> bool:
    """Orphans belong to process 1, which in a container may bury its dead late or never."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def remove_files(home: Home) -> None:
    """Remove what an earlier run did not get to: its addresses and its folder of sockets."""
    home.addresses.unlink(missing_ok=True)
    folder = Path(read_or_none(home.run_folder) or "/nonexistent")
    if folder.name.startswith("vitrine-") and folder.is_dir() and folder.stat().st_uid == os.geteuid():
        shutil.rmtree(folder, ignore_errors=True)
    home.run_folder.unlink(missing_ok=True)

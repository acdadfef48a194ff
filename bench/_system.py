"""A whole Vitrine for the length of a block: real servers, gunicorn, workers and the pixel analyst.

with system.running({"worker-1": []}, WORKER_CONCURRENCY="16") as vitrine:
    session = vitrine.session("a shop")

Everything listens on loopback or on a socket in a private folder, and is stopped at the end of the block,
also when this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import redis
import requests

import config
from core.desk import Desk
from core.services import keys
from local import embedded
from local.embedded import Server
from local.parent_death import signal_on_parent_death
from local.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
START_SECONDS = 60.0
STOP_SECONDS = 40.0
PARTS = ("web", "workers", "decoders", "Postgres", "Valkey")

T = TypeVar("T")


@dataclass
class System:
    """A running Vitrine, and what a benchmark asks of it."""

    url: str
    environment: dict[str, str]
    folder: Path
    analyst: str
    postgres: Server
    queue: Server
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, tuple[Sequence[str | Path], dict[str, str]]] = field(default_factory=dict)
    """How each process was started, with what it has in its environment beside the system's."""

    def session(self, account: str) -> requests.Session:
        """An HTTP session that is signed in to an account, which is made where it is new."""
        desk = Desk.open(config.load(), name="bench")
        signed_in = requests.Session()
        signed_in.headers["Authorization"] = (
            f"Bearer {keys.create(desk, account=account, name='bench', unlimited=True).secret}"
        )
        desk.database.close()
        return signed_in

    def database(self) -> psycopg.Connection[Any]:
        """A connection of one's own, each statement its own transaction."""
        return psycopg.connect(self.environment["DATABASE_URL"], autocommit=True)

    def valkey(self) -> redis.Redis:
        """A client of the queue's server."""
        return redis.Redis.from_url(self.environment["REDIS_URL"], decode_responses=True)

    def turn(self, **knobs: float) -> None:
        """Turn the analyst's knobs."""
        requests.put(f"{self.analyst}/control/knobs", json=knobs, timeout=5).raise_for_status()

    def web(self) -> list[psutil.Process]:
        """The processes of gunicorn that answer requests."""
        return psutil.Process(self.processes["web"].pid).children()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU by part of the system since the start; the analyst's is left out."""
        names = {process.pid: name for name, process in self.processes.items()}
        spent: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        for child in psutil.Process().children():
            if (name := names.get(child.pid, "")) == "analyst":
                continue
            part = name if name in PARTS else "workers" if name else _server_name(child)
            decoders = sum(map(tree_cpu_seconds, child.children())) if part == "workers" else 0.0
            spent["decoders"] += decoders
            spent[part] += tree_cpu_seconds(child) - decoders
        return spent

    def start_worker(self, name: str, arguments: Sequence[str] = (), **environment: str) -> None:
        """Start a worker."""
        command: list[str | Path] = [BIN / "celery", "-A", "worker.app", "worker", f"--hostname={name}@bench"]
        self.start(name, [*command, "--without-mingle", "--without-gossip", *arguments], **environment)

    def start(self, name: str, command: Sequence[str | Path], **environment: str) -> None:
        """Start a process of the system; what it says goes to a file. It dies with the thread we are in."""
        self.commands[name] = (command, environment)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                env={**os.environ, **self.environment, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for us: we stop them in order
                preexec_fn=signal_on_parent_death(signal.SIGTERM),  # noqa: PLW1509 - only a system call
            )

    def start_again(self, name: str) -> None:
        """Start a process that has ended as it was started before."""
        command, environment = self.commands[name]
        self.start(name, command, **environment)

    def stop(self) -> None:
        """Stop every process, the last one started first."""
        for name in reversed(list(self.processes)):
            self.end(name)

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a process by a signal; its status. One that holds out is killed."""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def until_ready(self, workers: int) -> None:
        """Wait until so many workers report, and all answer. Raises TimeoutError with what they said."""
        try:
            until(lambda: _is_ready(self, workers), "Vitrine is not ready", START_SECONDS)
        except TimeoutError as error:
            for started in self.processes:
                error.add_note(f"{started} said:\n{self.tail(started)}")
            raise

    def tail(self, name: str) -> str:
        """The end of what a process said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2_000:]


@contextlib.contextmanager
def running(
    workers: Mapping[str, Sequence[str]], *, place: str | None = None, **environment: str
) -> Iterator[System]:
    """A system with these workers (a name and more arguments for `celery worker`), ready to be asked.

    Its data is in a temporary folder, made in `place` if that is given.
    """
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="vitrine-bench-", dir=place, ignore_cleanup_errors=True)
        )
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as a user of its own where we are root
        database = stack.enter_context(embedded.postgres_server(folder / "pg", durable=True))
        valkey = stack.enter_context(embedded.valkey_server(folder / "vk"))
        vitrine = System("", {}, folder, "", database, valkey)
        stack.callback(vitrine.stop)
        _settle(vitrine, environment)
        stack.enter_context(_in_environment(vitrine.environment))
        subprocess.run([BIN / "vitrine", "migrate"], cwd=ROOT, check=True)
        vitrine.start("web", [BIN / "gunicorn", "wsgi:app"])
        for worker, arguments in workers.items():
            vitrine.start_worker(worker, arguments)
        vitrine.until_ready(len(workers))
        yield vitrine


def _settle(vitrine: System, environment: dict[str, str]) -> None:
    port, analyst_port = free_port(), free_port()
    vitrine.start("analyst", [sys.executable, "-m", "local.analyst", "--port", str(analyst_port)])
    vitrine.url = f"http://127.0.0.1:{port}"
    vitrine.analyst = f"http://127.0.0.1:{analyst_port}"
    vitrine.environment |= {
        "DATABASE_URL": vitrine.postgres.url,
        "REDIS_URL": vitrine.queue.url,
        "STORAGE_URL": f"file://{vitrine.folder}/blobs",
        "OPENAI_BASE_URL": f"{vitrine.analyst}/v1",
        "OPENAI_API_KEY": "sk-bench",
        "VISION_MODEL": "pixel-analyst",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        **environment,
    }


def _is_ready(vitrine: System, workers: int) -> bool:
    for name, process in vitrine.processes.items():
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended while starting:\n{vitrine.tail(name)}")
    try:
        health = requests.get(f"{vitrine.url}/api/health", timeout=5)
        requests.get(f"{vitrine.analyst}/health", timeout=5).raise_for_status()
    except requests.RequestException:
        return False
    return health.ok and f"{workers} seen" in health.json()["checks"]["workers"]["detail"]


@contextlib.contextmanager
def _in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Settings are read from the environment, and we use the services too."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _server_name(process: psutil.Process) -> str:
    return "Postgres" if "postgres" in process.name() else "Valkey"


def until(look: Callable[[], T], otherwise: str, seconds: float, every: float = 0.05) -> T:
    """What `look` finds as soon as it is something. Raises TimeoutError after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"{otherwise} after {seconds:g} s")
        time.sleep(every)
    return found


def tree_cpu_seconds(root: psutil.Process) -> float:
    """CPU seconds of a process and all below it, those that ended included."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # user, system, and both of children that were waited for
    return total

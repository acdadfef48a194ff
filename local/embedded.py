"""Real Postgres and Valkey servers for the length of a block, as the tests use them.

    with embedded.postgres(folder) as database_url, embedded.valkey(folder) as redis_url:
        ...

Nothing is left running afterwards, not even when this process is killed.
"""

import contextlib
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local import postgres as postgres_programs
from local import unprivileged
from local import valkey as valkey_programs
from local.failures import LocalError, last_lines
from local.files import short_folder
from local.parent_death import signal_on_parent_death
from local.ports import free_port
from local.postgres import Postgres
from local.unprivileged import Account
from local.valkey import Valkey

START_SECONDS = 30.0
STOP_SECONDS = 15.0


@dataclass
class Server:
    """A server that runs, and can be started again after something ended it."""

    name: str
    url: str
    command: list[str]
    log: Path
    stop_signal: signal.Signals
    answers: Callable[[], bool]
    account: Account | None = None
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it and wait until it answers. Raises LocalError if it does not."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # a Ctrl-C is for the tests, which stop them when they are done
                preexec_fn=signal_on_parent_death(self.stop_signal),  # noqa: PLW1509 - only a system call
                **unprivileged.handover(self.account),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None:
                raise LocalError(
                    f"{self.name} ended while starting:{last_lines(self.log.read_text(errors='replace'))}"
                )
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{self.name} did not answer within {START_SECONDS:.0f} seconds; its log is {self.log}."
                )
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> None:
        """Send it a signal that ends it, and wait for that; what holds out is killed."""
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def postgres(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a `postgres_server` for the length of the block."""
    with postgres_server(folder, durable=durable) as server:
        yield server.url


@contextlib.contextmanager
def valkey(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a `valkey_server` for the length of the block."""
    with valkey_server(folder, durable=durable) as server:
        yield server.url


@contextlib.contextmanager
def postgres_server(folder: Path, *, durable: bool = False) -> Iterator[Server]:
    """A Postgres with its data in a folder, kept between blocks; its URL is that of its database.

    Without `durable` it is faster and forgets what a crash of the machine interrupts. Raises LocalError
    if it does not start. Started by root from a private folder, it keeps its data in a temporary one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    account = unprivileged.postgres_account()
    with short_folder() as short:
        at_home = account is None or unprivileged.is_reachable(folder / "postgres")
        data = (folder if at_home else short) / "postgres"
        server = Postgres(data, short / "socket", account, durable)
        postgres_programs.prepare(server)
        yield from _running(
            Server(
                name="Postgres",
                url=server.url(),
                command=server.command(),
                log=folder / "postgres.log",
                stop_signal=signal.SIGINT,
                answers=lambda: postgres_programs.answers(server),
                account=account,
            )
        )


@contextlib.contextmanager
def valkey_server(folder: Path, *, durable: bool = False) -> Iterator[Server]:
    """A Valkey on a free loopback port. With `durable` its data stays in the folder.

    Raises LocalError if it does not start.
    """
    server = Valkey(folder / "valkey", free_port(), secrets.token_hex(16), durable)
    valkey_programs.prepare(server)
    yield from _running(
        Server(
            name="Valkey",
            url=server.url,
            command=server.command(),
            log=folder / "valkey.log",
            stop_signal=signal.SIGTERM,
            answers=lambda: valkey_programs.answers(server),
        )
    )


def _running(server: Server) -> Iterator[Server]:
    server.log.unlink(missing_ok=True)
    try:
        server.start()
        yield server
    finally:
        server.end(server.stop_signal)

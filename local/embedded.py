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
from pathlib import Path

from local import postgres as postgres_server
from local import unprivileged
from local import valkey as valkey_server
from local.failures import LocalError, last_lines
from local.files import short_folder
from local.parent_death import signal_on_parent_death
from local.ports import free_port
from local.postgres import Postgres
from local.unprivileged import Account
from local.valkey import Valkey

START_SECONDS = 30.0
STOP_SECONDS = 15.0


@contextlib.contextmanager
def postgres(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A Postgres with its data in a folder, kept between blocks; yields its database's URL.

    Without `durable` it is faster and forgets what a crash of the machine interrupts. Raises LocalError
    if it does not start. Started by root from a private folder, it keeps its data in a temporary one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    account = unprivileged.postgres_account()
    with short_folder() as short:
        at_home = account is None or unprivileged.is_reachable(folder / "postgres")
        data = (folder if at_home else short) / "postgres"
        server = Postgres(data, short / "socket", account, durable)
        postgres_server.prepare(server)
        log = folder / "postgres.log"
        with _running(server.command(), log, signal.SIGINT, account) as process:
            _wait("Postgres", process, log, lambda: postgres_server.answers(server))
            yield server.url()


@contextlib.contextmanager
def valkey(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A Valkey on a free loopback port; yields its URL. With `durable` its data stays in the folder.

    Raises LocalError if it does not start.
    """
    server = Valkey(folder / "valkey", free_port(), secrets.token_hex(16), durable)
    valkey_server.prepare(server)
    log = folder / "valkey.log"
    with _running(server.command(), log, signal.SIGTERM) as process:
        _wait("Valkey", process, log, lambda: valkey_server.answers(server))
        yield server.url


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, stop_signal: signal.Signals, account: Account | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,  # a Ctrl-C is for the tests, which stop the servers when they are done
            preexec_fn=signal_on_parent_death(stop_signal),  # noqa: PLW1509 - it only makes a system call
            **unprivileged.handover(account),
        )
    try:
        yield process
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if process.poll() is not None:
            raise LocalError(f"{name} ended while starting:{last_lines(log.read_text(errors='replace'))}")
        if time.monotonic() > deadline:
            raise LocalError(f"{name} did not answer within {START_SECONDS:.0f} seconds; its log is {log}.")
        time.sleep(0.05)

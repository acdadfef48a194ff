"""The home of one stack: the folder with its data, logs and keys, held by one running stack at a time."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from local.failures import LocalError
from local.files import read_or_none

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """Where everything of one stack is kept."""

    path: Path

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.path / "log"

    @property
    def addresses(self) -> Path:
        """What a running stack is reached by, keys included; there only while it runs."""
        return self.path / "local.json"

    @property
    def api_key(self) -> Path:
        """The local API key, kept between starts."""
        return self.path / "api_key"

    @property
    def kept(self) -> Path:
        """Our own ports and passwords, the same at every start."""
        return self.path / "kept.json"

    @property
    def lock(self) -> Path:
        """Held by the running stack; names its process."""
        return self.path / "lock"

    @property
    def run_folder(self) -> Path:
        """A file that names the short folder with the sockets of the current run."""
        return self.path / "run_folder"


def open_home(environ: Mapping[str, str]) -> Home:
    """The home that VITRINE_HOME names, else .vitrine beside the code, made if need be.

    Raises LocalError if it cannot be written to.
    """
    path = Path(environ.get("VITRINE_HOME") or ROOT / ".vitrine").expanduser().resolve()
    home = Home(path)
    try:
        if not path.exists():
            # Root's Postgres runs as another user, which passes through here without seeing names.
            path.mkdir(parents=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        home.logs.mkdir(exist_ok=True, mode=0o700)
        home.lock.touch(mode=0o600)
    except OSError as problem:
        raise LocalError(
            f"Cannot write to {path} ({problem.strerror}). "
            "Make it writable, or set VITRINE_HOME to another folder."
        ) from problem
    return home


@contextlib.contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home for the length of a block. Raises LocalError if another stack holds it."""
    with _locked_file(home) as file:
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            home.lock.unlink(missing_ok=True)


def _locked_file(home: Home) -> TextIO:
    while True:
        file = home.lock.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(_already_running(home, file)) from None
        if _is_same_file(file, home.lock):
            file.truncate(0)
            return file
        file.close()  # the stack that held it removed it as it ended; lock the one there now


def _is_same_file(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _already_running(home: Home, file: TextIO) -> str:
    with file:
        file.seek(0)
        holder = file.read().strip() or "unknown"
    told = read_addresses(home)
    if str(told.get("pid")) == holder:  # else it is what a killed stack has left
        return f"Vitrine already runs here, at {told['url']} (pid {holder})."
    return f"Vitrine is already starting or stopping in {home.path} (pid {holder})."


def read_addresses(home: Home) -> dict[str, Any]:
    """What the running stack wrote down; empty if none runs or it has not got that far."""
    try:
        return dict(json.loads(read_or_none(home.addresses) or "{}"))
    except ValueError:
        return {}

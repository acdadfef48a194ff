"""A disk that is full: a small tmpfs holds the data of Postgres and the images."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import _faults_truth as truth
from bench import _system as system
from bench._faults_load import open_shop, posting, questions
from bench._faults_servers import promise_known, told
from bench._faults_truth import Outcome
from bench._system import System, until
from local.failures import LocalError

MEGABYTES = 320
FULL_SECONDS = 15.0
STEP_SECONDS = 120.0
PIECE = 1 << 20


class CannotMount(Exception):
    """This machine does not let us mount a disk of our own; says why."""


def disk(workers: dict[str, list[str]], environment: dict[str, str], *, items: int) -> Outcome:
    """Fill the disk while items run and analyses are posted, then make room again. Raises CannotMount."""
    with _small_disk() as place, system.running(workers, place=str(place), **environment) as vitrine:
        shop = open_shop(vitrine)
        shop.submit(questions(items))
        with posting(shop) as posted:
            shop.until_done(items // 10, STEP_SECONDS)
            with _full(place):
                _leave_alone(vitrine, FULL_SECONDS)
            refused_while_full = bool(posted.refused)
            done, room_again = shop.done_or_none(), time.monotonic()
            _supervise_until(vitrine, lambda: (shop.done_or_none() or 0) > (done or 0))
            recovery = time.monotonic() - room_again
        shop.until_all_done(STEP_SECONDS)
        most = len(workers) * int(environment["WORKER_CONCURRENCY"])
        outcome = truth.judged("disk", truth.count(vitrine, shop.account_id), most_extra=most)
        promise_known(outcome, shop, posted)
    outcome.promise(refused_while_full, "nothing was refused, so the disk was not full")
    outcome.recovery = recovery
    outcome.notes.append(f"{len(posted.accepted)} POSTs accepted; refused: {told(posted) or 'none'}")
    return outcome


@contextlib.contextmanager
def _small_disk() -> Iterator[Path]:
    if os.geteuid() != 0:
        raise CannotMount("only root may mount a tmpfs")
    with tempfile.TemporaryDirectory(prefix="vitrine-disk-") as name:
        Path(name).chmod(0o755)
        options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=755", "tmpfs", name]
        mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)  # noqa: S607
        if mounted.returncode:
            raise CannotMount(f"mounting a tmpfs failed: {mounted.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)  # noqa: S607


@contextlib.contextmanager
def _full(place: Path) -> Iterator[None]:
    """Not a byte is free while the block runs."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (PIECE, 4096):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * piece):
                    pass
    try:
        yield
    finally:
        ballast.unlink()


def _leave_alone(vitrine: System, seconds: float) -> None:
    """Time passes; Postgres is started again where it gave up, as its supervisor would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _supervise(vitrine)
        time.sleep(0.5)


def _supervise(vitrine: System) -> None:
    if vitrine.postgres.process.poll() is not None:
        with contextlib.suppress(LocalError):  # it may not start while there is no room
            vitrine.postgres.start()


def _supervise_until(vitrine: System, moves: Callable[[], bool]) -> None:
    def look() -> bool:
        _supervise(vitrine)
        return moves()

    until(look, "nothing moves after there is room", STEP_SECONDS, 0.2)

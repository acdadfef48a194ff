"""Workers that are killed, stopped, poisoned, or that have a wrong clock."""

from __future__ import annotations

import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import _faults_truth as truth
from bench._faults_load import Shop, open_shop, questions
from bench._faults_truth import Outcome
from bench._system import System, until

SLOTS = 2
"""Of each worker. With more, an innocent item would now and then be hit by three of fifty kills."""
NOTICED_SECONDS = 60.0
"""Promised from the death of a worker until its items run elsewhere."""
USUAL_LEASE = 45.0
STEP_SECONDS = 120.0
END_SECONDS = 300.0
POISON = "poisoned"
HELD = "SELECT id, fence, lease_until FROM analyses WHERE state = 'running' AND worker LIKE %s"
MOVED = """
    SELECT a.id, now() >= was.lease_until FROM analyses a
    JOIN unnest(%s::text[], %s::bigint[], %s::timestamptz[]) AS was(id, fence, lease_until) ON was.id = a.id
    WHERE a.fence > was.fence OR a.state NOT IN ('running', 'queued')
"""
POISONED = """
    SELECT DISTINCT worker FROM analyses
    WHERE account_id = %s AND state = 'running' AND question LIKE %s
"""


@dataclass(slots=True)
class Death:
    """A killed worker's leases, until each is somebody else's."""

    at: float
    held: dict[str, tuple[int, object]]
    seconds: float = 0.0
    early: int = 0
    """Leases that somebody took before they had run out."""


class Killer:
    """Kills workers and starts them again, as a supervisor would, and watches where their items go."""

    def __init__(self, vitrine: System, seed: int) -> None:
        self._vitrine = vitrine
        self._random = random.Random(seed)
        self.deaths: list[Death] = []

    def workers(self) -> list[str]:
        """The names of the workers that run."""
        return [name for name in self._vitrine.processes if name.startswith("worker")]

    def kill(self, name: str | None = None) -> None:
        """SIGKILL a worker, by default any; it is started again."""
        name = name or self._random.choice(self.workers())
        with self._vitrine.database() as connection:
            rows = connection.execute(HELD.encode(), [f"{name}@bench-%"]).fetchall()
        self._vitrine.end(name, signal.SIGKILL)
        self.deaths.append(Death(time.monotonic(), {row[0]: (row[1], row[2]) for row in rows}))
        self._vitrine.start_again(name)

    def watch(self) -> None:
        """Note which leases of dead workers are held by others now."""
        for death in self.deaths:
            if not death.held:
                continue
            fences, ends = zip(*death.held.values(), strict=True)
            with self._vitrine.database() as connection:
                moved = connection.execute(MOVED.encode(), [list(death.held), list(fences), list(ends)])
                for analysis_id, was_dead in moved.fetchall():
                    del death.held[analysis_id]
                    death.seconds = time.monotonic() - death.at
                    death.early += not was_dead

    def watch_until(self, shop: Shop, done: int, seconds: float) -> None:
        """Watch until so many analyses of the shop are final. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while shop.done() < done:
            self.watch()
            if time.monotonic() > end:
                raise TimeoutError(f"of {done} analyses {shop.done()} are final after {seconds:g} s")
            time.sleep(0.1)
        self.watch()

    def recovery(self) -> float:
        """The longest time from a death until all that the worker held was somebody else's."""
        return max(death.seconds for death in self.deaths)


def kills(vitrine: System, *, items: int, times: int) -> Outcome:
    """Random workers die by kill -9, spread over the work."""
    shop, killer = open_shop(vitrine), Killer(vitrine, seed=items)
    shop.submit(questions(items))
    for number in range(times):
        killer.watch_until(shop, 1 + number * items * 9 // (times * 10), STEP_SECONDS)
        killer.kill()
    killer.watch_until(shop, items, END_SECONDS)
    shop.until_all_done(END_SECONDS)
    found = truth.count(vitrine, shop.account_id)
    outcome = truth.judged("kills", found, most_extra=times * SLOTS)
    outcome.recovery = killer.recovery()
    outcome.promise(
        outcome.recovery <= NOTICED_SECONDS, f"it took {outcome.recovery:.0f} s to notice a death"
    )
    outcome.promise(found.crashed == 0, f"{found.crashed} innocent items failed as worker_crash")
    outcome.notes.append(f"{times} kills, {found.expiries} leases ran out")
    return outcome


def stops(vitrine: System, *, items: int, times: int) -> Outcome:
    """SIGTERM of random workers under load; each is started again when it has ended."""
    shop, killer, chosen = open_shop(vitrine, latency=1.0), Killer(vitrine, seed=items), random.Random(items)
    shop.submit(questions(items))
    lasted: list[float] = []
    statuses: set[int] = set()
    for number in range(times):
        shop.until_done(1 + number * items * 9 // (times * 10), STEP_SECONDS)
        # One that is still starting has nothing to finish, and may have nothing before all is done.
        name = _one_that_works(vitrine, killer, chosen)
        started = time.monotonic()
        statuses.add(vitrine.end(name))
        lasted.append(time.monotonic() - started)
        vitrine.start_again(name)
    shop.until_all_done(END_SECONDS)
    found = truth.count(vitrine, shop.account_id)
    outcome = truth.judged("stops", found, most_extra=0)
    outcome.recovery = max(lasted)
    outcome.promise(found.expiries == 0, f"{found.expiries} leases ran out")
    outcome.promise(statuses == {0}, f"workers ended with {sorted(statuses)}")
    outcome.notes.append(f"{times} stops, the longest took {max(lasted):.1f} s")
    return outcome


def poison(vitrine: System, *, items: int, poisoned: int) -> Outcome:
    """Items that kill whatever worker holds them: it is killed for them as soon as it does."""
    shop, killer = open_shop(vitrine), Killer(vitrine, seed=items)
    mixed = questions(items - poisoned) + questions(poisoned, POISON)
    random.Random(items).shuffle(mixed)
    shop.submit(mixed)
    end = time.monotonic() + STEP_SECONDS + 4 * END_SECONDS * poisoned / 20 + 4 * _lease(vitrine)
    while shop.done() < items:
        for name in _poisoned(vitrine, shop.account_id):
            with _held_still(vitrine.processes[name]):
                if name in _poisoned(vitrine, shop.account_id):  # it may be another that holds it now
                    killer.kill(name)
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    shop.until_all_done(END_SECONDS)
    found = truth.count(vitrine, shop.account_id)
    most = len(killer.deaths) * SLOTS
    outcome = truth.judged("poison", found, most_extra=most)
    outcome.promise(found.crashed == poisoned, f"{found.crashed} items failed as worker_crash")
    outcome.notes.append(
        f"{found.crashed} of {poisoned} failed as worker_crash after {len(killer.deaths)} deaths"
    )
    return outcome


def _poisoned(vitrine: System, account_id: str) -> list[str]:
    """Workers that run and hold an item that kills."""
    with vitrine.database() as connection:
        rows = connection.execute(POISONED.encode(), [account_id, f"%{POISON}%"]).fetchall()
    found = []
    for (worker,) in rows:
        name, _, pid = worker.rpartition("-")
        process = vitrine.processes.get(name.removesuffix("@bench"))
        if process is not None and process.pid == int(pid):  # else it is dead already
            found.append(name.removesuffix("@bench"))
    return found


@contextmanager
def _held_still(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Nothing moves in a process while the block runs, unless that ends it."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


CLOCK = """
import datetime, time
SHIFT = {shift}
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime
time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + SHIFT * 10**9
class Shifted(_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_time() + SHIFT, tz)
    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)
datetime.datetime = Shifted
"""


def clocks(vitrine: System, *, items: int, minutes: int = 10) -> Outcome:
    """Two workers, one ahead and one behind; each has to notice the other's death."""
    with _only_wrong_clocks(vitrine, minutes):
        shop, killer = open_shop(vitrine, latency=2.0), Killer(vitrine, seed=items)
        shop.submit(questions(items))
        for number, name in enumerate(WRONG):
            killer.watch_until(shop, (number + 1) * items // 4, STEP_SECONDS)
            _until_held(vitrine, name)
            killer.kill(name)
            killer.watch_until(shop, (number + 1) * items // 4 + SLOTS, STEP_SECONDS)
        killer.watch_until(shop, items, END_SECONDS)
    shop.until_all_done(END_SECONDS)
    found = truth.count(vitrine, shop.account_id)
    outcome = truth.judged("clocks", found, most_extra=len(WRONG) * SLOTS)
    outcome.recovery = killer.recovery()
    early = sum(death.early for death in killer.deaths)
    outcome.promise(early == 0, f"{early} leases were taken before they had run out")
    most = len(WRONG) * SLOTS
    outcome.notes.append(f"{minutes} minutes ahead and behind, {found.expiries} leases ran out")
    outcome.promise(0 < found.expiries <= most, f"{found.expiries} leases ran out, not 1 to {most}")
    outcome.promise(outcome.recovery <= NOTICED_SECONDS, f"a sweep was missed for {outcome.recovery:.0f} s")
    return outcome


WRONG = ("worker-ahead", "worker-behind")


@contextmanager
def _only_wrong_clocks(vitrine: System, minutes: int) -> Iterator[None]:
    """One worker ahead of the time and one behind it in the place of the others."""
    others = [name for name in vitrine.processes if name.startswith("worker")]
    with tempfile.TemporaryDirectory(prefix="vitrine-clock-") as folder:
        for name in others:
            vitrine.end(name)
        for name, sign in zip(WRONG, (1, -1), strict=True):
            place = Path(folder) / name
            place.mkdir()
            (place / "sitecustomize.py").write_text(CLOCK.format(shift=sign * minutes * 60))
            vitrine.start_worker(name, PYTHONPATH=str(place))
        vitrine.until_ready(len(WRONG))
        try:
            yield
        finally:
            for name in WRONG:
                vitrine.end(name)
            for name in others:
                vitrine.start_again(name)


def _until_held(vitrine: System, name: str) -> None:
    """Wait until a worker has something to lose."""
    until(lambda: _holds(vitrine, name), f"{name} holds nothing", STEP_SECONDS)


def _one_that_works(vitrine: System, killer: Killer, chosen: random.Random) -> str:
    """Any worker that has something to lose, as soon as there is one."""
    return chosen.choice(
        until(
            lambda: [name for name in killer.workers() if _holds(vitrine, name)],
            "no worker holds anything",
            STEP_SECONDS,
        )
    )


def _holds(vitrine: System, name: str) -> bool:
    with vitrine.database() as connection:
        return connection.execute(HELD.encode(), [f"{name}@bench-%"]).fetchone() is not None


def _lease(vitrine: System) -> float:
    return float(vitrine.environment.get("WORKER_LEASE", USUAL_LEASE))

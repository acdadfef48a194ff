"""What faults cost: `python3 dev bench faults [--quick] [SCENARIO…]`.

Each scenario starts a Vitrine of its own, breaks something in it on purpose, and counts afterwards from the
rows, the books and the endpoint's ledger. Ends with status 1 where a promise was not kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench import _faults_servers as servers
from bench import _faults_workers as workers
from bench import _system as system
from bench._faults_disk import CannotMount, disk
from bench._faults_endpoint import endpoint
from bench._faults_truth import Outcome
from bench._system import System

WORKERS: dict[str, list[str]] = {f"worker-{number}": [] for number in (1, 2, 3)}
ENVIRONMENT = {"WORKER_CONCURRENCY": str(workers.SLOTS), "CALL_TIMEOUT": "20", "LOG_LEVEL": "INFO"}
BRIEF = {"WORKER_LEASE": "12"}
"""For scenarios that wait for leases to run out, where time is short."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault, in full and in brief."""

    full: Callable[[System], Outcome]
    quick: Callable[[System], Outcome]
    quick_settings: dict[str, str] = field(default_factory=dict)


SCENARIOS = {
    "kills": Scenario(
        partial(workers.kills, items=2_000, times=50), partial(workers.kills, items=80, times=5), BRIEF
    ),
    "stops": Scenario(partial(workers.stops, items=600, times=10), partial(workers.stops, items=80, times=3)),
    "poison": Scenario(
        partial(workers.poison, items=500, poisoned=20), partial(workers.poison, items=40, poisoned=2), BRIEF
    ),
    "clocks": Scenario(partial(workers.clocks, items=200), partial(workers.clocks, items=32), BRIEF),
    "redis": Scenario(
        partial(servers.redis, items=1_500, stopped=60), partial(servers.redis, items=300, stopped=15)
    ),
    "postgres": Scenario(
        partial(servers.postgres, items=1_000, times=5), partial(servers.postgres, items=200, times=2)
    ),
    "endpoint": Scenario(partial(endpoint, items=600), partial(endpoint, items=80)),
}
DISK = {"full": 600, "quick": 200}


def main() -> None:
    """Run the scenarios that were asked for, and print their figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [*SCENARIOS, "disk"]
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="the counts that the tests use: some minutes")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(names)
    if unknown:
        parser.error(f"there is no scenario {min(unknown)!r}; there are: {', '.join(names)}")
    console, outcomes = Console(), []
    for name in options.scenarios or names:
        console.print(f"{name} …")
        try:
            outcomes.append(run(name, quick=options.quick))
        except CannotMount as reason:
            console.print(f"  skipped: {reason}")
    console.print(report(outcomes))
    for outcome in outcomes:
        console.print(f"{outcome.scenario}: {'; '.join(outcome.notes + outcome.broken)}")
    sys.exit(1 if any(outcome.broken for outcome in outcomes) else 0)


def run(name: str, *, quick: bool) -> Outcome:
    """One scenario, on a system of its own. Raises CannotMount."""
    if name == "disk":
        return disk(WORKERS, ENVIRONMENT, items=DISK["quick" if quick else "full"])
    scenario = SCENARIOS[name]
    settings = ENVIRONMENT | (scenario.quick_settings if quick else {})
    with system.running(WORKERS, **settings) as vitrine:
        return (scenario.quick if quick else scenario.full)(vitrine)


def report(outcomes: list[Outcome]) -> Table:
    """The figures, a row for each scenario."""
    caption = f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}"
    table = Table(title="What faults cost", caption=caption, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("scenario")
    for name in ("items", "lost", "double", "calls", "booked", "extra", "bound", "recovery"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for outcome in outcomes:
        found = outcome.truth
        calls = (found.received, found.booked, found.extra, outcome.most_extra)
        figures = (found.items, found.lost, found.double, *calls)
        recovery = "" if outcome.recovery is None else f"{outcome.recovery:.1f} s"
        verdict = "BROKEN" if outcome.broken else "kept"
        table.add_row(outcome.scenario, *(f"{figure:,}" for figure in figures), recovery, verdict)
    return table


if __name__ == "__main__":
    main()

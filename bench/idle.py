"""What an idle system costs: `python3 dev bench idle [--quick]`.

A Vitrine of its own with one worker for all queues, of which nobody asks anything. The figures are CPU
milliseconds a second by part, by the kernel's books of its processes.
"""

from __future__ import annotations

import argparse
import os
import time

from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System

SETTLING = 30.0
"""Seconds until each chore has come round, and the driver knows what is asked all the time."""
SECONDS, QUICK_SECONDS = 120.0, 30.0
GOAL = 15.0
"""ms/s."""


def main() -> None:
    """Leave a system alone, and print what that took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} seconds, not {SECONDS:g}")
    seconds = QUICK_SECONDS if parser.parse_args().quick else SECONDS
    with system.running({"worker-1": []}) as vitrine:
        time.sleep(SETTLING)
        spent = _spent(vitrine, seconds)
    Console().print(_report(spent, seconds))


def _spent(vitrine: System, seconds: float) -> dict[str, float]:
    """Milliseconds a second of each part."""
    before, start = vitrine.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    after, took = vitrine.cpu_seconds(), time.perf_counter() - start
    return {part: 1000 * (after[part] - before[part]) / took for part in after}


def _report(spent: dict[str, float], seconds: float) -> Table:
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table(title=f"An idle system, for {seconds:g} seconds", caption=load)
    for name in ("part", "CPU ms/s", "goal"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for part, figure in spent.items():
        table.add_row(part, f"{figure:.1f}", "")
    table.add_row("all", f"{sum(spent.values()):.1f}", f"<= {GOAL:g}")
    return table


if __name__ == "__main__":
    main()

"""What answers cost that are there already: `python3 dev bench reuse [--quick]`.

A batch is run twice on a Vitrine of its own: first it is asked, then all of it has been asked before. The
same is done for single analyses that somebody waits for. Ratios are against the first time, of the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import requests
from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System
from bench.batches import API, batch_body, finish, judge, post, scalar, small_photos, table_of, upload

JSON = {"Content-Type": "application/json"}
ITEMS = 10_000
GOAL = 300
"""Items per second."""
SINGLES = 50


@dataclass(frozen=True, slots=True)
class Run:
    """A batch from its POST until it was completed."""

    seconds: float
    cpu: float
    """Seconds of web, workers, decoders, Postgres and Valkey."""


def main() -> None:
    """Run both parts and print what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of cached answers instead of three")
    options = parser.parse_args()
    Console().print(measured(rounds=1 if options.quick else 3))


def measured(rounds: int) -> Table:
    """The table of all figures."""
    with system.running({"worker-1": [], "worker-2": []}) as vitrine:
        session = vitrine.session("a shop")
        body = batch_body(upload(vitrine, session, small_photos()), ITEMS)
        asked = _run(vitrine, session, body)
        cached = [_run(vitrine, session, body) for _ in range(rounds)]
        paid, free = _singles(vitrine, session)
        calls = _calls(vitrine)
    table = table_of(f"{ITEMS:,} items, asked and asked again", f"{rounds} rounds of cached answers")
    speeds = [ITEMS / run.seconds for run in (asked, *cached)]
    table.add_row("asked", f"{speeds[0]:.0f} items/s, {1000 * asked.cpu / ITEMS:.1f} ms CPU each", "")
    cpu = median(1000 * run.cpu / ITEMS for run in cached)
    judge(table, f"cached, {cpu:.2f} ms CPU each", median(speeds[1:]), GOAL, " items/s", at_least=True)
    table.add_row("cached to asked", f"{median(speeds[1:]) / speeds[0]:.1f}x as fast", "")
    table.add_row("a single one, asked and cached", f"{1000 * paid:.0f} and {1000 * free:.0f} ms", "")
    judge(table, "calls", calls, ITEMS + SINGLES, "")
    return table


def _run(vitrine: System, session: requests.Session, body: bytes) -> Run:
    before, started = sum(vitrine.cpu_seconds().values()), time.time()
    ended = finish(vitrine, post(vitrine, session, body), seconds=900)
    return Run(ended - started, sum(vitrine.cpu_seconds().values()) - before)


def _singles(vitrine: System, session: requests.Session) -> tuple[float, float]:
    """Median seconds of analyses that are asked, and of the same ones asked again."""
    file_ids = upload(vitrine, session, small_photos(SINGLES))
    return _ask_all(vitrine, session, file_ids), _ask_all(vitrine, session, file_ids)


def _ask_all(vitrine: System, session: requests.Session, file_ids: Sequence[str]) -> float:
    seconds = []
    for file_id in file_ids:
        body = {"images": [{"file_id": file_id}], "question": "Which colour is it?", "wait": 30}
        started = time.perf_counter()
        answer = session.post(f"{vitrine.url}{API}/analyses", data=json.dumps(body), headers=JSON, timeout=60)
        seconds.append(time.perf_counter() - started)
        if answer.status_code != 200:
            raise RuntimeError(f"a single analysis ended with {answer.status_code}: {answer.text[:300]}")
    return median(seconds)


def _calls(vitrine: System) -> float:
    with vitrine.database() as connection:
        return float(scalar(connection, "SELECT count(*) FROM calls"))


if __name__ == "__main__":
    main()

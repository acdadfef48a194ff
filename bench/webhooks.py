"""What webhooks cost and hold up: `python3 dev bench webhooks [--quick]`.

Twenty receivers, one of which hangs, and one worker process that delivers. First a thousand events a minute,
in turns to all of them: how long each takes from its commit to its receiver. Then as many at once, against
plain `requests` in a thread pool that posts as much to the same well receivers in the same run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil
import requests
from rich.console import Console
from rich.table import Table

import config
from bench import _system as system
from bench._system import System, tree_cpu_seconds, until
from core.desk import Desk
from core.ids import new_id
from core.services import keys, webhooks
from core.store import outbox

WELL = 19
THREADS = 32
PER_MINUTE = 1_000
PATIENCE = 120.0


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="twenty seconds and one round")
    quick = parser.parse_args().quick
    allowed = {"OUTBOUND_NETWORKS": "127.0.0.0/8", "OUTBOUND_PORTS": "1-65535"}
    with system.running({"worker-1": ["-Q", "interactive,bulk"]}, **allowed) as vitrine:
        bench = Bench(vitrine)
        steady = bench.steady(20 if quick else 60)
        bursts = [(bench.burst(), bench.plain()) for _ in range(1 if quick else 3)]
        Console().print(_steady_table(steady))
        Console().print(_burst_table(bursts))


@dataclass(slots=True)
class Steady:
    """A while at a thousand a minute."""

    sent: int
    delays: list[float]
    cpu: float
    """CPU seconds of the worker."""
    held: int
    """Events that wait for the receiver that hangs."""


@dataclass(slots=True)
class Burst:
    """Many at once."""

    seconds: float
    cpu: float
    deliveries: int


class Bench:
    """The receivers, an account with a webhook for each, and the worker that delivers."""

    def __init__(self, vitrine: System) -> None:
        self._file = vitrine.folder / "arrived"
        ports = self._start_receivers(vitrine)
        queue = ["-Q", "webhooks", f"--concurrency={THREADS}"]
        vitrine.start_worker("webhooks", queue)
        self._worker = psutil.Process(vitrine.processes["webhooks"].pid)
        self._desk = Desk.open(config.load(), name="bench")
        self._account = keys.create(self._desk, account="a shop", name="bench").key.account_id
        urls = [f"http://127.0.0.1:{port}/hook" for port in ports]
        self._hooks = [webhooks.create(self._desk, self._account, url=url) for url in urls]
        self._well_urls = urls[:WELL]
        for hook in self._hooks[:WELL]:
            self._ping(hook.id)
        until(lambda: len(self._arrived()) == WELL, "the worker delivers nothing", PATIENCE)

    def steady(self, seconds: float) -> Steady:
        """Events at the rate, in turns to all receivers."""
        spent, began, told = tree_cpu_seconds(self._worker), time.monotonic(), {}
        count = int(PER_MINUTE * seconds / 60)
        for number in range(count):
            time.sleep(max(0.0, began + number * 60 / PER_MINUTE - time.monotonic()))
            hook = self._hooks[number % len(self._hooks)]
            told[self._ping(hook.id)] = time.time(), hook is self._hooks[-1]
        well = {event_id: at for event_id, (at, hangs) in told.items() if not hangs}
        until(lambda: well.keys() <= self._arrived().keys(), "events are missing", PATIENCE)
        arrived = self._arrived()
        delays = [arrived[event_id] - at for event_id, at in well.items()]
        return Steady(count, delays, tree_cpu_seconds(self._worker) - spent, count - len(well))

    def burst(self) -> Burst:
        """A thousand at once, committed together; seconds until the last well receiver has all of its own."""
        spent = tree_cpu_seconds(self._worker)
        with self._desk.database.transaction() as session:
            told = [
                (outbox.send(session, hook.id, webhooks.PING, {}), hook is self._hooks[-1])
                for hook in self._hooks
                for _ in range(PER_MINUTE // len(self._hooks))
            ]
        began = time.time()
        well = {event_id for event_id, hangs in told if not hangs}
        until(lambda: well <= self._arrived().keys(), "events are missing", PATIENCE)
        arrived = self._arrived()
        seconds = max(arrived[event_id] for event_id in well) - began
        return Burst(seconds, tree_cpu_seconds(self._worker) - spent, len(well))

    def plain(self) -> Burst:
        """The same by `requests` in a thread pool, without the receiver that hangs."""
        ids = [new_id("evt") for _ in range(PER_MINUTE // len(self._hooks) * WELL)]
        spent, began = time.process_time(), time.time()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._post, ids, [self._well_urls[n % WELL] for n in range(len(ids))]))
        return Burst(time.time() - began, time.process_time() - spent, len(ids))

    def _post(self, event_id: str, url: str) -> None:
        body = b'{"id":"%s","object":"event","type":"webhook.ping","data":{}}' % event_id.encode()
        requests.post(url, data=body, headers={"webhook-id": event_id}, timeout=15).raise_for_status()

    def _ping(self, webhook_id: str) -> str:
        return webhooks.ping(self._desk, self._account, webhook_id).id

    def _arrived(self) -> dict[str, float]:
        """When each event first came."""
        lines = [line.split() for line in self._file.read_text().splitlines()]
        whole = [line for line in reversed(lines) if len(line) == 2]
        return {event_id: float(at) for event_id, at in whole}

    def _start_receivers(self, vitrine: System) -> list[str]:
        vitrine.start("receivers", [sys.executable, "-m", "bench._receivers", str(WELL), str(self._file)])
        said = Path(vitrine.folder / "receivers.log")
        return until(lambda: said.read_text().split(), "the receivers do not start", PATIENCE)


def _steady_table(run: Steady) -> Table:
    table = Table(
        title=f"{run.sent:,} events at {PER_MINUTE:,} a minute, {run.held:,} to a receiver that hangs",
        caption=_caption(),
    )
    for name in ("arrived", "p50", "p95", "slowest", "CPU of the worker each"):
        table.add_column(name, justify="right")
    cuts = quantiles(run.delays, n=20)
    times = (median(run.delays), cuts[-1], max(run.delays), run.cpu / len(run.delays))
    table.add_row(f"{len(run.delays):,}", *(f"{value * 1000:,.1f} ms" for value in times))
    return table


def _burst_table(runs: list[tuple[Burst, Burst]]) -> Table:
    table = Table(
        title=f"{runs[0][0].deliveries:,} at once",
        caption=f"medians of {len(runs)} rounds; {_caption()}",
    )
    for name in ("", "a second", "CPU each"):
        table.add_column(name, justify="right")
    rates = [[run.deliveries / run.seconds for run in side] for side in zip(*runs, strict=True)]
    costs = [[run.cpu / run.deliveries for run in side] for side in zip(*runs, strict=True)]
    for name, rate, cost in zip(("webhooks", "plain requests"), rates, costs, strict=True):
        table.add_row(name, f"{median(rate):,.0f}", f"{median(cost) * 1000:.1f} ms")
    rate, cost = (median(each[0]) / median(each[1]) for each in (rates, costs))
    table.add_row("ratio", f"{rate:.2f}", f"{cost:.1f}")
    return table


def _caption() -> str:
    return f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()

"""What watching costs: `python3 dev bench streams [--quick]`.

The same batch is run with nobody watching, with one watcher and with many, in turns. What the watchers add,
in CPU of web and Postgres and in transactions, is what is told; only the ratios travel between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System
from bench.batches import API, batch_body, finish, post, scalar, small_photos, upload

WATCHERS = (0, 1, 40)
ITEMS = 1_000
TRANSACTIONS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


def main() -> None:
    """Run the batch with each number of watchers, and print what they add."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    rounds = 1 if parser.parse_args().quick else 3
    runs: dict[int, list[Run]] = {watchers: [] for watchers in WATCHERS}
    # Two hundred threads, so that neither process runs out of places however watchers fall to them.
    with system.running({"worker-1": [], "worker-2": []}, WEB_THREADS="200") as vitrine:
        session = vitrine.session("a shop")
        file_ids = upload(vitrine, session, small_photos())
        finish(vitrine, post(vitrine, session, batch_body(file_ids, 200)))  # all are warm when it counts
        vitrine.turn(latency=0.05)
        for _ in range(rounds):
            for watchers in WATCHERS:
                runs[watchers].append(_run(vitrine, session, file_ids, watchers))
    Console().print(_report(runs, rounds))


@dataclass(slots=True)
class Run:
    """The batch once."""

    seconds: float
    web: float
    """CPU seconds, as all but the first."""
    postgres: float
    transactions: int
    breaks: int


def _run(vitrine: System, session: requests.Session, file_ids: list[str], watchers: int) -> Run:
    before, transactions = vitrine.cpu_seconds(), _transactions(vitrine)
    batch_id = post(vitrine, session, batch_body(file_ids, ITEMS))
    seconds, breaks = asyncio.run(_watched(vitrine, session, batch_id, watchers))
    finish(vitrine, batch_id)
    spent = {part: total - before[part] for part, total in vitrine.cpu_seconds().items()}
    return Run(seconds, spent["web"], spent["Postgres"], _transactions(vitrine) - transactions, breaks)


async def _watched(
    vitrine: System, session: requests.Session, batch_id: str, watchers: int
) -> tuple[float, int]:
    """Seconds until every watcher has seen the whole batch, and how many streams broke off on the way."""
    started = asyncio.get_running_loop().time()
    seen = asyncio.gather(*(_watch(vitrine, session, batch_id) for _ in range(watchers)))
    await asyncio.to_thread(finish, vitrine, batch_id)
    if any(items != ITEMS for items, _ in await seen):
        raise RuntimeError("a watcher missed items, or saw some twice")
    return asyncio.get_running_loop().time() - started, sum(breaks for _, breaks in await seen)


async def _watch(vitrine: System, session: requests.Session, batch_id: str) -> tuple[int, int]:
    """Follow the stream to its end, also across breaks; how many items came, and how many breaks."""
    place = urlsplit(vitrine.url)
    items, breaks, last_id = 0, 0, ""
    while True:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(
            f"GET {API}/batches/{batch_id}/stream HTTP/1.1\r\n"
            f"Host: {place.netloc}\r\nConnection: close\r\n"
            f"Authorization: {session.headers['Authorization']!s}\r\n"
            f"Last-Event-ID: {last_id}\r\n\r\n".encode()
        )
        async for line in reader:
            if line.startswith(b"id: "):
                items, last_id = items + 1, line[4:].decode().strip()
            if line.startswith(b"event: done"):
                writer.close()
                return items, breaks
        breaks += 1


def _transactions(vitrine: System) -> int:
    with vitrine.database() as connection:
        return int(scalar(connection, TRANSACTIONS))


def _report(runs: dict[int, list[Run]], rounds: int) -> Table:
    table = Table(
        title=f"Watching {ITEMS:,} items",
        caption=f"medians of {rounds} rounds; {os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}",
    )
    for name in ("watchers", "until all have all", "CPU of web", "CPU of Postgres", "transactions", "breaks"):
        table.add_column(name, justify="right")
    for watchers, ran in runs.items():
        seconds, web, postgres, transactions, breaks = (
            median(getattr(run, name) for run in ran) for name in Run.__slots__
        )
        times = (f"{value:.1f} s" for value in (seconds, web, postgres))
        table.add_row(str(watchers), *times, f"{transactions:,.0f}", f"{breaks:.0f}")
    return table


if __name__ == "__main__":
    main()

"""What batches cost: `python3 dev bench batches [--quick] [accept|throughput|fairness]`.

Each part starts a Vitrine of its own on loopback, and sets it against something on the same machine in the
same run: a bare COPY, a hand-written script, the idle system. They take turns, so that a busy machine
disturbs both; the figures are medians, and only the ratios travel between machines.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import requests
from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import ROOT, System, until
from bench.imaging import THREE_MEGAPIXELS, photo
from core.ids import new_id

MANY = 50_000
API = "/api/v1"
BATCH_COLUMNS = "account_id, key_id, request_id, state, metadata, total, priority, start_tag, deadline_at"
ITEM_COLUMNS = (
    "id, batch_id, account_id, key_id, request_id, position, custom_id, state, preset, preset_version,"
    " question, context, model, max_tokens, temperature, detail, metadata, deadline_at, cache_seconds,"
    " fingerprint"
)
IMAGE_COLUMNS = "analysis_id, position, file_id"
PHOTOS = 400
SLOTS = 16
"""Of each worker; the default of WORKER_CONCURRENCY."""
FAIR_SLOTS = 16
ITEMS_OF_B = 20

Row = tuple[Any, ...]


def main() -> None:
    """Run the parts that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about two minutes in all")
    options = parser.parse_args()
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {min(unknown)!r}; there are: {', '.join(PARTS)}")
    console = Console()
    for name, part in PARTS.items():
        if name in (options.parts or PARTS):
            console.print(part(quick=options.quick))


def accept(*, quick: bool) -> Table:
    """Time from a POST of 50,000 items to its 202, against a bare COPY of the same rows."""
    rounds = 2 if quick else 7
    with system.running({"worker-1": [], "worker-2": []}) as vitrine:
        session = vitrine.session("a shop")
        file_ids = upload(vitrine, session, small_photos())
        for _ in range(8):  # until each web process has served, so that what they grow by is the batch's
            _pause(vitrine, session, post(vitrine, session, batch_body(file_ids, 100)))
        idle = {process.pid: _memory(process.pid)["VmRSS"] for process in vitrine.web()}
        idle_valkey = _valkey_memory(vitrine)
        seen = [_accept_once(vitrine, session, file_ids) for _ in range(rounds)]
        post(vitrine, session, batch_body(file_ids, MANY))
        peak_valkey = _watch_valkey(vitrine, 8 if quick else 30)
        kept = max(_memory(pid)["VmRSS"] - before for pid, before in idle.items())
        peak = max(_memory(pid)["VmHWM"] - before for pid, before in idle.items())
        done = _count_done(vitrine)
    table = table_of("Accepting 50,000 items", f"medians of {rounds} rounds; {done:,} items ran meanwhile")
    posted, by_row, ready = (median(times) for times in zip(*(one.times for one in seen), strict=True))
    table.add_row("POST to 202", f"{posted:.2f} s", "")
    table.add_row("bare COPY, row by row", f"{by_row:.2f} s", "")
    table.add_row("bare COPY, from ready bytes", f"{ready:.2f} s", "")
    judge(table, "ratio to row by row", median(one.times[0] / one.times[1] for one in seen), 3, "x")
    judge(table, "ratio to ready bytes", median(one.times[0] / one.times[2] for one in seen), 3, "x")
    judge(table, "first item running after the 202", median(one.first for one in seen), 1, " s")
    judge(table, "web memory over idle, at its peak", peak / 1e6, 60, " MB")
    judge(table, "web memory over idle, afterwards", kept / 1e6, 60, " MB")
    judge(table, "Valkey at its peak", peak_valkey / 1e6, 20, " MB")
    table.add_row("Valkey when idle", f"{idle_valkey / 1e6:.1f} MB", "")
    return table


@dataclass(slots=True)
class Accepted:
    """One round: seconds of the POST, of a COPY row by row, and of one from ready bytes."""

    times: tuple[float, float, float]
    first: float
    """Seconds from the 202 until the first item ran."""


def _accept_once(vitrine: System, session: requests.Session, file_ids: Sequence[str]) -> Accepted:
    body = batch_body(file_ids, MANY)
    with vitrine.database() as connection:
        connection.execute("CHECKPOINT")
        started = time.perf_counter()
        batch_id = post(vitrine, session, body)
        posted, now = time.perf_counter() - started, time.time()
        first = (until(lambda: _first_started(connection, batch_id), "nothing ran", 30) or now) - now
        _pause(vitrine, session, batch_id)
        by_row = _copy(connection, batch_id, _write_rows)
        ready = _copy(connection, batch_id, _write_bytes)
    return Accepted((posted, by_row, ready), first)


def _copy(connection: psycopg.Connection[Any], batch_id: str, write: Callable[..., None]) -> float:
    """Seconds for storing the rows of a batch once more, as another batch that is paused."""
    items, images = _rows_again(connection, batch_id, twin := new_id("batch"))
    connection.execute("CHECKPOINT")
    started = time.perf_counter()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO batches (id, {BATCH_COLUMNS})"  # noqa: S608
            f" SELECT %s, {BATCH_COLUMNS} FROM batches WHERE id = %s",
            [twin, batch_id],
        )
        write(cursor, f"COPY analyses ({ITEM_COLUMNS}) FROM STDIN", items)
        write(cursor, f"COPY analysis_images ({IMAGE_COLUMNS}) FROM STDIN", images)
    return time.perf_counter() - started


def _rows_again(
    connection: psycopg.Connection[Any], batch_id: str, twin: str
) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of a batch as they were stored, in COPY's own text, under new ids."""
    columns = ITEM_COLUMNS.replace("state", "'queued'")
    query = f"COPY (SELECT {columns} FROM analyses WHERE batch_id = '{batch_id}' ORDER BY position) TO STDOUT"  # noqa: S608
    items = [[new_id("an"), twin, *row[2:]] for row in _copied(connection, query)]
    query = (
        "COPY (SELECT analysis_id, i.position, file_id FROM analysis_images i JOIN analyses a"  # noqa: S608
        f" ON a.id = analysis_id WHERE batch_id = '{batch_id}' ORDER BY a.position) TO STDOUT"
    )
    images = _copied(connection, query)
    return items, [[item[0], *image[1:]] for item, image in zip(items, images, strict=True)]


def _copied(connection: psycopg.Connection[Any], query: str) -> list[list[str]]:
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        return [bytes(line).decode().rstrip("\n").split("\t") for line in copy]


def _write_rows(cursor: psycopg.Cursor[Any], query: str, rows: list[list[str]]) -> None:
    with cursor.copy(query.encode()) as copy:
        for row in rows:
            copy.write_row([None if value == r"\N" else value for value in row])


def _write_bytes(cursor: psycopg.Cursor[Any], query: str, rows: list[list[str]]) -> None:
    with cursor.copy(query.encode()) as copy:
        copy.write("".join("\t".join(row) + "\n" for row in rows))


def _first_started(connection: psycopg.Connection[Any], batch_id: str) -> float | None:
    query = "SELECT extract(epoch FROM min(started_at))::float FROM analyses WHERE batch_id = %s"
    found: float | None = scalar(connection, query, batch_id)
    return found


def _watch_valkey(vitrine: System, seconds: float) -> float:
    """The most bytes that Valkey used since it started, after so many seconds more."""
    time.sleep(seconds)
    return _valkey_memory(vitrine, "used_memory_peak")


def _valkey_memory(vitrine: System, name: str = "used_memory") -> float:
    said: Any = vitrine.valkey().info("memory")
    return float(said[name])


def _memory(pid: int) -> dict[str, float]:
    """What the kernel says of a process's memory, in bytes."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * float(words[1]) for words in lines if words[-1] == "kB"}


def _count_done(vitrine: System) -> int:
    with vitrine.database() as connection:
        return int(scalar(connection, "SELECT count(*) FROM analyses WHERE state = 'completed'"))


def throughput(*, quick: bool) -> Table:
    """400 photos at an endpoint that takes a second, against a script without queue and database."""
    rounds = 1 if quick else 3
    seen: list[tuple[Run, Run]] = []
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-photos-") as name,
        system.running({"worker-1": [], "worker-2": []}, WORKER_CONCURRENCY=str(SLOTS)) as vitrine,
    ):
        photos = list(_photos(PHOTOS))
        for number, content in enumerate(photos):
            (Path(name) / f"{number:04}.jpg").write_bytes(content)
        session = vitrine.session("a shop")
        file_ids = upload(vitrine, session, photos)
        finish(vitrine, post(vitrine, session, batch_body(file_ids[:64], 64)))  # both are warm when it counts
        vitrine.turn(latency=1.0)
        for _ in range(rounds):
            seen.append((_script(vitrine, Path(name)), _run(vitrine, session, file_ids)))  # noqa: PERF401
    table = table_of(
        f"{PHOTOS} photos of 3 Mpx, 1.0 s latency, {2 * SLOTS} at once",
        f"medians of {rounds} rounds; CPU of web, workers, decoders, Postgres and Valkey",
    )
    for what, runs in zip(("script", "Vitrine"), zip(*seen, strict=True), strict=True):
        speed = median(PHOTOS / run.seconds for run in runs)
        cost = median(1000 * run.cpu / PHOTOS for run in runs)
        table.add_row(what, f"{speed:.1f}/s, {cost:.1f} ms CPU each", "")
    for part in system.PARTS:
        cost = median(1000 * ours.parts[part] / PHOTOS for _, ours in seen)
        table.add_row(f"  of it {part}", f"{cost:.1f} ms", "")
    ratio = median(plain.seconds / ours.seconds for plain, ours in seen)
    judge(table, "images/s, Vitrine to script", ratio, 0.9, "x", at_least=True)
    judge(table, "CPU, Vitrine to script", median(ours.cpu / plain.cpu for plain, ours in seen), 1.5, "x")
    return table


@dataclass(slots=True)
class Run:
    """All photos once."""

    seconds: float
    cpu: float
    parts: dict[str, float] = field(default_factory=dict)
    """Of the CPU seconds, by part."""


def _script(vitrine: System, photos: Path) -> Run:
    command = [sys.executable, "-m", "bench._plain", f"{vitrine.analyst}/v1", str(photos), str(2 * SLOTS)]
    outcome = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    figures = json.loads(outcome.stdout)
    return Run(figures["seconds"], figures["cpu"])


def _run(vitrine: System, session: requests.Session, file_ids: Sequence[str]) -> Run:
    body = batch_body(file_ids, len(file_ids))
    before, started = vitrine.cpu_seconds(), time.time()
    ended = finish(vitrine, post(vitrine, session, body))
    spent = {part: seconds - before[part] for part, seconds in vitrine.cpu_seconds().items()}
    return Run(ended - started, sum(spent.values()), spent)


def fairness(*, quick: bool) -> Table:
    """What a batch of 50,000 items does to somebody else, against the idle system."""
    rounds, singles = (2, 15) if quick else (4, 30)
    workers = {"interactive": ["-Q", "interactive"], "bulk": ["-Q", "bulk"]}
    waits, batches = Pair(), Pair()
    with system.running(workers, WORKER_CONCURRENCY=str(FAIR_SLOTS)) as vitrine:
        a, b = vitrine.session("account A"), vitrine.session("account B")
        files_of_a, files_of_b = (upload(vitrine, one, small_photos()) for one in (a, b))
        _singles(vitrine, b, files_of_b, 20)
        vitrine.turn(latency=0.3)
        batch_id = post(vitrine, a, batch_body(files_of_a, MANY))
        for _ in range(rounds):
            _pause(vitrine, a, batch_id)
            waits.idle += _singles(vitrine, b, files_of_b, singles)
            batches.idle += [_batch_of_b(vitrine, b, files_of_b) for _ in range(3)]
            a.post(f"{vitrine.url}{API}/batches/{batch_id}/resume", timeout=30).raise_for_status()
            time.sleep(4)  # until its window is full
            before, started = _count_done(vitrine), time.monotonic()
            waits.busy += _singles(vitrine, b, files_of_b, singles)
            batches.busy += [_batch_of_b(vitrine, b, files_of_b) for _ in range(3)]
            speed = (_count_done(vitrine) - before) / (time.monotonic() - started)
    table = table_of(
        "Account B while A's 50,000 items run, 0.3 s latency",
        f"{rounds} rounds, idle and busy in turn; one worker of {FAIR_SLOTS} for each queue;"
        f" A and B together {speed:.0f} items/s",
    )
    for what, pair in (("single", waits), ("20-item batch", batches)):
        for name, figure in (("median", median), ("p95", _p95)):
            idle, busy = figure(pair.idle), figure(pair.busy)
            table.add_row(f"{what}, {name}, idle and busy", f"{idle:.3f} and {busy:.3f} s", "")
    judge(table, "p95 of single analyses, busy to idle", _p95(waits.busy) / _p95(waits.idle), 1.3, "x")
    judge(table, "time of a 20-item batch", median(batches.busy) / median(batches.idle), 2, "x")
    return table


@dataclass(slots=True)
class Pair:
    """Seconds in the idle system, and while the other account's batch runs."""

    idle: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


def _singles(vitrine: System, session: requests.Session, file_ids: Sequence[str], count: int) -> list[float]:
    """Seconds of single analyses that somebody waits for, one after the other."""
    seconds = []
    for number in range(count):
        body = {
            "images": [{"file_id": file_ids[number % len(file_ids)]}],
            "question": _question(),
            "wait": 30,
        }
        started = time.perf_counter()
        answer = session.post(f"{vitrine.url}{API}/analyses", json=body, timeout=60)
        seconds.append(time.perf_counter() - started)
        if answer.status_code != 200:
            raise RuntimeError(f"a single analysis ended with {answer.status_code}: {answer.text[:300]}")
    return seconds


def _batch_of_b(vitrine: System, session: requests.Session, file_ids: Sequence[str]) -> float:
    """Seconds from the POST of a small batch until it is completed."""
    started = time.time()
    return finish(vitrine, post(vitrine, session, batch_body(file_ids, ITEMS_OF_B))) - started


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def small_photos(count: int = 20) -> list[bytes]:
    """JPEG files of 160 by 120 pixels."""
    return [_jpeg(160, 120, seed) for seed in range(count)]


def _photos(count: int) -> Iterator[bytes]:
    """Distinct files of a few textured photos: each has a comment of its own behind its first marker."""
    few = [_jpeg(*THREE_MEGAPIXELS, seed) for seed in range(8)]
    for number in range(count):
        content, note = few[number % len(few)], f"photo {number}".encode()
        yield content[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + content[2:]


def _jpeg(width: int, height: int, seed: int) -> bytes:
    sink = BytesIO()
    photo(width, height, seed).save(sink, "JPEG", quality=90)
    return sink.getvalue()


def _question() -> str:
    """A question nobody asked before, so that no answer is used again."""
    return f"Which colour is the article {new_id('no')}, and is its background fit for the catalogue?"


def batch_body(file_ids: Sequence[str], count: int) -> bytes:
    """The body of a batch, each item with a question of its own."""
    inputs = [
        {"custom_id": f"sku-{number:06}", "image": file_ids[number % len(file_ids)], "question": _question()}
        for number in range(count)
    ]
    return json.dumps({"inputs": inputs}).encode()


def upload(vitrine: System, session: requests.Session, contents: Sequence[bytes]) -> list[str]:
    """Upload images; their file ids."""
    ids = []
    for number, content in enumerate(contents):
        answer = session.post(
            f"{vitrine.url}{API}/files",
            files={"file": (f"{number}.jpg", content, "image/jpeg")},
            timeout=60,
        )
        answer.raise_for_status()
        ids.append(str(answer.json()["id"]))
    return ids


def post(vitrine: System, session: requests.Session, body: bytes) -> str:
    """Submit a batch; its id."""
    headers = {"Content-Type": "application/json"}
    answer = session.post(f"{vitrine.url}{API}/batches", data=body, headers=headers, timeout=120)
    if answer.status_code != 202:
        raise RuntimeError(f"a batch was refused with {answer.status_code}: {answer.text[:300]}")
    return str(answer.json()["id"])


def _pause(vitrine: System, session: requests.Session, batch_id: str) -> None:
    """Pause a batch, unless it is done, and wait until nothing of it runs."""
    answer = session.post(f"{vitrine.url}{API}/batches/{batch_id}/pause", timeout=30)
    if answer.status_code != 409:
        answer.raise_for_status()
    query = "SELECT count(*) FROM analyses WHERE batch_id = %s AND state = 'running'"
    with vitrine.database() as connection:
        until(lambda: scalar(connection, query, batch_id) == 0, "the batch still runs", 30)


def finish(vitrine: System, batch_id: str, seconds: float = 300) -> float:
    """When a batch was completed, on this machine's clock, which is also the database's."""
    query = "SELECT extract(epoch FROM finished_at)::float FROM batches WHERE id = %s"
    with vitrine.database() as connection:
        ended: float = until(
            lambda: scalar(connection, query, batch_id), "the batch is not done", seconds, 0.1
        )
        query = "SELECT count(*) FROM analyses WHERE batch_id = %s AND state <> 'completed'"
        if scalar(connection, query, batch_id):
            raise RuntimeError("items of a batch failed")
    return ended


def scalar(connection: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    """The first value of the first row that a query finds; None without any."""
    found = connection.execute(query.encode(), values).fetchone()
    return found[0] if found else None


def table_of(title: str, caption: str) -> Table:
    """A table of figures and goals, which tells the machine that they are of."""
    machine = f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}"
    table = Table(title=title, caption=f"{caption}; {machine}")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("goal", justify="right")
    return table


def judge(table: Table, what: str, figure: float, goal: float, unit: str, *, at_least: bool = False) -> None:
    """Add a figure, and whether it met its goal."""
    met = figure >= goal if at_least else figure <= goal
    sign = ">=" if at_least else "<="
    table.add_row(what, f"{figure:.2f}{unit}", f"{sign} {goal:g}{unit} {'met' if met else 'MISSED'}")


PARTS = {"accept": accept, "throughput": throughput, "fairness": fairness}

if __name__ == "__main__":
    main()

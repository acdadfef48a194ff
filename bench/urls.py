"""What fetching images by URL costs, against uploading them first: `python3 dev bench urls [--quick]`.

The same photos, from one host on loopback: a batch that names them by URL, and one of the files that a client
uploads from as many threads as the host is asked by. They take turns; only the ratios travel.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from statistics import median

import requests
from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System
from bench.batches import finish, post, small_photos, upload

ROUNDS, PHOTOS = 3, 400
AT_ONCE = 8
"""The default of URL_HOST_CONNECTIONS."""
QUESTION = {"question": "Which colour?", "cache": "off"}


def main() -> None:
    """Print how long both ways take."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round")
    rounds = 1 if parser.parse_args().quick else ROUNDS
    with (
        _host(small_photos(PHOTOS)) as base,
        system.running(
            {"worker-1": [], "worker-2": []}, OUTBOUND_NETWORKS="127.0.0.0/8", OUTBOUND_PORTS="1-65535"
        ) as vitrine,
    ):
        runs = count()
        fetched, again, uploaded = zip(
            *(_round(vitrine, base, next(runs)) for _ in range(rounds)), strict=True
        )
    Console().print(_table(rounds, median(fetched), median(again), median(uploaded)))


def _round(vitrine: System, base: str, number: int) -> tuple[float, float, float]:
    """Seconds from the first request until all is answered: by URL, once more, and uploaded first."""
    by_url, by_file = vitrine.session(f"urls {number}"), vitrine.session(f"files {number}")
    urls = [f"{base}/{number}" for number in range(PHOTOS)]
    contents = [requests.get(url, timeout=10).content for url in urls]
    first, second = _answered(vitrine, by_url, urls), _answered(vitrine, by_url, urls)
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ids = [file_id for [file_id] in pool.map(lambda each: upload(vitrine, by_file, [each]), contents)]
    return first, second, time.perf_counter() - started + _answered(vitrine, by_file, ids)


def _answered(vitrine: System, session: requests.Session, images: Sequence[str]) -> float:
    started = time.perf_counter()
    inputs = [{"image": image} for image in images]
    finish(vitrine, post(vitrine, session, json.dumps({"inputs": inputs, "defaults": QUESTION}).encode()))
    return time.perf_counter() - started


@contextlib.contextmanager
def _host(photos: Sequence[bytes]) -> Iterator[str]:
    """A host of these photos at /0, /1, … that knows whether they have changed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = "If-None-Match" in self.headers
            content = b"" if is_known else photos[int(self.path[1:])]
            self.send_response(304 if is_known else 200)
            self.send_header("ETag", f'"{self.path}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _table(rounds: int, fetched: float, again: float, uploaded: float) -> Table:
    machine = f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}"
    table = Table(title=f"{PHOTOS} images until all are answered", caption=f"medians of {rounds}; {machine}")
    for name in ("way", "seconds", "ratio to uploads"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for way, seconds in (
        ("uploaded, then asked", uploaded),
        ("by URL", fetched),
        ("by URL, unchanged", again),
    ):
        table.add_row(way, f"{seconds:.2f}", f"{seconds / uploaded:.2f}x")
    return table


if __name__ == "__main__":
    main()

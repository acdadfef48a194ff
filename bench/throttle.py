"""How much of a rate limit is used, and how often it is met: `python3 dev bench throttle [--quick]`.

A Vitrine of its own with two workers, and the pixel analyst limited to 300 requests a minute. Its bucket
holds two seconds of that, so that every burst beyond shows as a 429. Both figures are shares of what was
allowed in the same run, so they travel between machines.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System, until
from bench.imaging import photo

LIMIT = 300
"""Requests per minute."""
API = "/api/v1"
SETTLING = 5.0
"""Seconds at the start that are left out: what an idle bucket holds is used at once."""


def main() -> None:
    """Run a batch against the limited endpoint, and print what the endpoint saw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one minute instead of three")
    minutes = 1 if parser.parse_args().quick else 3
    with system.running({"worker-1": [], "worker-2": []}) as vitrine:
        vitrine.turn(requests_per_minute=LIMIT, rate_burst=2, latency=1.0)
        session = vitrine.session("a shop")
        batch_id = _submit(vitrine, session, LIMIT * minutes + 30)
        until(lambda: _is_done(vitrine, session, batch_id), "the batch is not done", 120 * minutes, every=1)
        calls = _calls(vitrine)
    Console().print(_report(calls, minutes))


def _submit(vitrine: System, session: requests.Session, count: int) -> str:
    """A batch of so many questions about one photo; its id."""
    buffer = BytesIO()
    photo(800, 600).save(buffer, "JPEG")
    answer = session.post(
        f"{vitrine.url}{API}/files", files={"file": ("p.jpg", buffer.getvalue())}, data={"purpose": "vision"}
    )
    answer.raise_for_status()
    inputs = [{"images": [{"file_id": answer.json()["id"]}], "question": f"{n}?"} for n in range(count)]
    answer = session.post(f"{vitrine.url}{API}/batches", json={"inputs": inputs})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _is_done(vitrine: System, session: requests.Session, batch_id: str) -> bool:
    batch = session.get(f"{vitrine.url}{API}/batches/{batch_id}").json()
    return bool(batch["status"] == "completed")


def _calls(vitrine: System) -> list[dict[str, Any]]:
    ledger = requests.get(f"{vitrine.analyst}/control/ledger", params={"limit": 100_000}, timeout=30).json()
    return list(ledger["calls"])


def _report(calls: Sequence[dict[str, Any]], minutes: int) -> Table:
    times = [datetime.fromisoformat(call["at"]).timestamp() for call in calls]
    steady = [at for at in times if at - times[0] >= SETTLING]
    used = (len(steady) - 1) / (steady[-1] - steady[0]) / (LIMIT / 60)
    refused = sum(call["status"] == 429 for call in calls) / len(calls)
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table(title=f"An endpoint limited to {LIMIT} requests a minute", caption=load)
    for name in ("figure", "measured", "goal"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    table.add_row("allowed rate that was used", f"{used:.1%}", ">= 97 %")
    table.add_row("calls answered 429", f"{refused:.2%}", "<= 1 %")
    table.add_row("calls", f"{len(calls):,} in about {minutes} min", "")
    return table


if __name__ == "__main__":
    main()

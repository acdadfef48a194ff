"""What a proxy adds to a chat: `python3 dev bench overhead [--quick] [--litellm PATH]`.

A text and a small image to the pixel analyst, straight and through a Vitrine of its own, in turns; with the
path of a `litellm` command (in its own venv: `pip install 'litellm[proxy]'`) through that proxy as well. One
client, one request at a time: the time that is added, and the CPU that a proxy takes with all its servers.
The same image comes again and again, as in a conversation; and, through Vitrine, another one every time.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import requests
from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System, tree_cpu_seconds, until
from bench.imaging import photo
from local.ports import free_port

MODEL = "pixel-analyst"
ROUNDS, QUICK_ROUNDS = 20, 5
IN_A_ROW = 20
"""Requests of one side before it is the other's turn."""
KEY = "sk-bench"
LITELLM = "LITELLM_LOCAL_MODEL_COST_MAP"
"""Keeps it from asking the network for prices; and tells its process from Vitrine's."""
CONFIGURATION = """\
model_list:
  - model_name: pixel-analyst
    litellm_params: {{model: openai/pixel-analyst, api_base: {endpoint}, api_key: sk-bench}}
general_settings: {{master_key: sk-bench}}
"""


@dataclass
class Side:
    """One way to the endpoint."""

    url: str
    session: requests.Session
    cpu_seconds: Callable[[], float]
    images: Iterator[bytes] = field(default_factory=lambda: itertools.repeat(SMALL))
    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def run(self, count: int) -> None:
        """Ask so many times, one after the other."""
        bodies = [_body(image) for image in itertools.islice(self.images, count)]
        before = self.cpu_seconds()
        for body in bodies:
            start = time.perf_counter()
            self.session.post(f"{self.url}/v1/chat/completions", json=body, timeout=60).raise_for_status()
            self.seconds.append(time.perf_counter() - start)
        self.cpu += self.cpu_seconds() - before

    def forget(self) -> None:
        """Start measuring from here."""
        self.seconds.clear()
        self.cpu = 0.0


def main() -> None:
    """Ask each way in turns, and print what was added."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--litellm", type=Path, help="the litellm command to measure beside Vitrine")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        vitrine = stack.enter_context(system.running({"worker-1": []}))
        sides = {
            "direct": Side(vitrine.analyst, _signed_in(KEY), lambda: 0.0),
            "Vitrine": Side(vitrine.url, vitrine.session("a shop"), lambda: _cpu_seconds(vitrine)),
            "Vitrine, new images": Side(
                vitrine.url, vitrine.session("another"), lambda: _cpu_seconds(vitrine), _new_images()
            ),
        }
        if options.litellm:
            sides["LiteLLM"] = stack.enter_context(_litellm(vitrine, options.litellm))
        for side in sides.values():
            side.run(IN_A_ROW)
            side.forget()
        for _ in range(QUICK_ROUNDS if options.quick else ROUNDS):
            for side in sides.values():
                side.run(IN_A_ROW)
    Console().print(_report(sides))


def _cpu_seconds(vitrine: System) -> float:
    """Of all its parts, but not of the proxy beside it, which is a child of ours as they are."""
    beside = [child for child in psutil.Process().children() if LITELLM in child.environ()]
    return sum(vitrine.cpu_seconds().values()) - sum(map(tree_cpu_seconds, beside))


@contextlib.contextmanager
def _litellm(vitrine: System, command: Path) -> Iterator[Side]:
    """A LiteLLM proxy in front of the analyst, with one worker and no database, not even Vitrine's."""
    port, settings = free_port(), vitrine.folder / "litellm.yaml"
    settings.write_text(CONFIGURATION.format(endpoint=f"{vitrine.analyst}/v1"))
    with (vitrine.folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(
            [command, "--config", settings, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"],
            env={"PATH": os.environ["PATH"], "HOME": str(vitrine.folder), LITELLM: "True"},
            stdout=log,
            stderr=log,
        )
    url, tree = f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    try:
        until(lambda: _answers(url), "LiteLLM does not answer", 120)
        yield Side(url, _signed_in(KEY), lambda: tree_cpu_seconds(tree))
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/liveliness", timeout=2).ok
    except requests.RequestException:
        return False


def _signed_in(key: str) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    return session


def _body(image: bytes) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
    parts = [
        {"type": "text", "text": "What colour is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return {"model": MODEL, "messages": [{"role": "user", "content": parts}], "max_tokens": 50}


def _small_image() -> bytes:
    buffer = BytesIO()
    photo(320, 240).save(buffer, "JPEG")
    return buffer.getvalue()


def _new_images() -> Iterator[bytes]:
    """The same picture with another comment each time: other bytes, and as much work."""
    start = len(b"\xff\xd8")
    for number in itertools.count():
        comment = b"\xff\xfe\x00\x0a%08d" % number
        yield SMALL[:start] + comment + SMALL[start:]


def _report(sides: dict[str, Side]) -> Table:
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table(title="A chat with a small image", caption=load)
    for name in ("way", "p50", "p95", "added at p50", "CPU per request"):
        table.add_column(name, justify="left" if name == "way" else "right")
    direct = statistics.median(sides["direct"].seconds)
    for name, side in sides.items():
        middle = statistics.median(side.seconds)
        p95 = statistics.quantiles(side.seconds, n=20)[-1]
        added, cpu = f"{(middle - direct) * 1000:.1f} ms", f"{side.cpu / len(side.seconds) * 1000:.1f} ms"
        own = ("", "") if name == "direct" else (added, cpu)
        table.add_row(name, f"{middle * 1000:.1f} ms", f"{p95 * 1000:.1f} ms", *own)
    return table


SMALL: bytes = _small_image()

if __name__ == "__main__":
    main()

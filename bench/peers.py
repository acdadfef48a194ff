"""Preparation beside other libraries: `python -m bench.peers --python PEERS [--side PX] [--quick]`.

PEERS is an interpreter with Pillow, pyvips, opencv-python-headless and simplejpeg (libjpeg-turbo), of which
those that are missing are left out; `--sharp FOLDER` has sharp in its node_modules. CPU per image, medians on
one core, the same files and quality (85, 4:4:4) for all. `ours, fixed` keeps to the side, within 5 %; `ours,
auto` lets it vary as the tokens of gpt-4.1-mini allow. `decoding` is what Pillow's decoder takes of it, at
the fraction that is enough: nothing written with Pillow can take less, unless it need not decode.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.imaging import write_samples
from core.image_sizes import Sizing
from core.image_tokens import counting
from worker import memory
from worker.formats import DECODERS, FORMATS, format_of
from worker.imaging import Policy, prepare

HERE = Path(__file__).parent
SIDES = (768, 1024, 2048)
OURS = ("decoding", "ours, fixed", "ours, auto")
PASSES = 3
LIBRARIES = ("pillow", "vips", "opencv", "turbojpeg")
Costs = dict[str, dict[str, list[float]]]
ONE_CORE = {"VIPS_CONCURRENCY": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    """Print a table for each side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="an interpreter with the other libraries")
    parser.add_argument("--sharp", help="a folder with sharp in its node_modules")
    parser.add_argument("--side", type=int, choices=SIDES, action="append", help="only to this side")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    rounds = 3 if options.quick else 9
    memory.keep()  # as decoder processes do
    with tempfile.TemporaryDirectory() as name:
        files = [str(path) for path in write_samples(Path(name))]
        for side in options.side or SIDES:
            Console(width=140).print(_table(files, side, rounds, options))
    Console().print(f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}")


def _table(files: Sequence[str], side: int, rounds: int, options: argparse.Namespace) -> Table:
    ways = [*LIBRARIES, *(["sharp"] if options.sharp else [])]
    costs = _costs(ways, files, side, rounds, options)
    fixed, auto = _policies(side)
    table = Table(title=f"CPU ms per image, to {side} px")
    for heading in ("image", *ways, *OURS[:2], "of best", "of pillow", "SSIM", OURS[2], "SSIM"):
        table.add_column(heading, justify="left" if heading == "image" else "right")
    for file in files:
        known = {way: median(found[file]) for way, found in costs.items() if found[file]}
        best = min((known[way] for way in ways if way in known and way != "pillow"), default=None)
        plain, ours = known.get("pillow"), known[OURS[1]]
        table.add_row(
            Path(file).name,
            *(f"{known[way]:.1f}" if way in known else "-" for way in (*ways, *OURS[:2])),
            "-" if best is None else f"{ours / best:.2f}",
            "-" if plain is None else f"{plain / ours:.1f}x less",
            _ssim(file, fixed, options.python),
            f"{known[OURS[2]]:.1f}",
            _ssim(file, auto, options.python),
        )
    return table


def _costs(
    ways: Sequence[str], files: Sequence[str], side: int, rounds: int, options: argparse.Namespace
) -> Costs:
    """CPU ms of each way by file, once for each pass; all ways take turns, for others use the machine too."""
    costs: Costs = {way: {file: [] for file in files} for way in (*ways, *OURS)}
    for _ in range(PASSES):
        for way in ways:
            for file, cost in _asked(way, files, side, rounds, options).items():
                costs[way][file].append(cost)
        for file in files:
            for way, cost in _ours(file, side, rounds):
                costs[way][file].append(cost)
    return costs


def _ours(file: str, side: int, rounds: int) -> Iterator[tuple[str, float]]:
    content, (fixed, auto) = Path(file).read_bytes(), _policies(side)
    for way, work in zip(OURS, (_decode, prepare, prepare), strict=True):
        yield way, _cost(partial(work, content, auto if way == OURS[2] else fixed), rounds)


def _decode(content: bytes, policy: Policy) -> None:
    with DECODERS[format_of(content, FORMATS)](BytesIO(content)) as source:
        source.draft(None, policy.target(source))
        source.load()


def _policies(side: int) -> tuple[Policy, Policy]:
    return Policy(best_side=side), Policy(sizing=Sizing(counting("gpt-4.1-mini").rule))


def _cost(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds + 1):
        started = time.process_time()
        work()
        taken.append(1000 * (time.process_time() - started))
    return median(taken[1:])


def _asked(
    way: str, files: Sequence[str], side: int, rounds: int, options: argparse.Namespace
) -> dict[str, float]:
    """CPU ms by file; nothing where the library is not there."""
    rest = [str(rounds), str(side), *files]
    if way == "sharp":
        return _run(["node", str(HERE / "_peer.cjs"), *rest], cwd=options.sharp)
    return _run([options.python, str(HERE / "_peer.py"), way, *rest])


def _run(command: Sequence[str], cwd: str | None = None) -> dict[str, float]:
    environment = {**os.environ, **ONE_CORE}
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"left out: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _ssim(file: str, policy: Policy, python: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as made:
        made.write(prepare(Path(file).read_bytes(), policy).content)
        made.flush()
        command = [python, str(HERE / "_peer.py"), "ssim", file, made.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{float(done.stdout):.4f}" if not done.returncode else "-"


if __name__ == "__main__":
    main()

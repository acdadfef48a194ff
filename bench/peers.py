"""Preparation beside other libraries: `python -m bench.peers --python PEERS [--sharp FOLDER] [--quick]`.

PEERS is an interpreter with Pillow, pyvips, opencv-python-headless and PyTurboJPEG, of which those that are
missing are left out; FOLDER has sharp in its node_modules. CPU per image, medians on one core, the same files
and quality (85, 4:4:4) for all. `ours, fixed` keeps to the side, within 5 %; `ours, auto` lets it vary as the
tokens of gpt-4.1-mini allow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.imaging import write_samples
from core.image_sizes import Sizing
from core.image_tokens import counting
from worker.imaging import Policy, prepare

HERE = Path(__file__).parent
SIDES = (768, 1024, 2048)
LIBRARIES = ("pillow", "vips", "opencv", "turbojpeg")
ONE_CORE = {"VIPS_CONCURRENCY": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    """Print a table for each side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="an interpreter with the other libraries")
    parser.add_argument("--sharp", help="a folder with sharp in its node_modules")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    rounds = 5 if options.quick else 15
    with tempfile.TemporaryDirectory() as name:
        files = [str(path) for path in write_samples(Path(name))]
        for side in SIDES:
            Console(width=130).print(_table(files, side, rounds, options))
    Console().print(f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}")


def _table(files: Sequence[str], side: int, rounds: int, options: argparse.Namespace) -> Table:
    ways = [*LIBRARIES, *(["sharp"] if options.sharp else [])]
    peers = {way: _asked(way, files, side, rounds, options) for way in ways}
    table = Table(title=f"CPU ms per image, to {side} px")
    for heading in ("image", *ways, "ours, fixed", "of best", "of pillow", "SSIM", "ours, auto", "SSIM"):
        table.add_column(heading, justify="left" if heading == "image" else "right")
    for file in files:
        fixed, auto = _policies(side)
        ours, free = _cost(file, fixed, rounds), _cost(file, auto, rounds) if side == 1024 else None
        known = {way: found[file] for way, found in peers.items() if file in found}
        best = min((ms for way, ms in known.items() if way != "pillow"), default=None)
        plain = known.get("pillow")
        table.add_row(
            Path(file).name,
            *(f"{known[way]:.1f}" if way in known else "-" for way in ways),
            f"{ours:.1f}",
            "-" if best is None else f"{ours / best:.2f}",
            "-" if plain is None else f"{plain / ours:.1f}x less",
            _ssim(file, fixed, options.python),
            "-" if free is None else f"{free:.1f}",
            "-" if free is None else _ssim(file, auto, options.python),
        )
    return table


def _policies(side: int) -> tuple[Policy, Policy]:
    return Policy(best_side=side), Policy(sizing=Sizing(counting("gpt-4.1-mini").rule))


def _cost(file: str, policy: Policy, rounds: int) -> float:
    content, taken = Path(file).read_bytes(), []
    for _ in range(rounds + 1):
        started = time.process_time()
        prepare(content, policy)
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

"""What preparing an image costs, against the plain way: `python -m bench.imaging [--quick]`.

CPU time per image, medians of interleaved runs, so that a busy machine disturbs both ways alike. Only the
ratios travel between machines.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image, ImageChops, ImageFilter, ImageStat
from rich.console import Console
from rich.table import Table

from worker.imaging import Policy, prepare
from worker.preparer import Preparer

POLICY = Policy()
SIDE = POLICY.best_side
THREE_MEGAPIXELS = (2000, 1500)
BETWEEN = (1200, 1500, 1600)
"""px: what no half is near to, and shops are full of."""

Sample = tuple[str, bytes]


def main() -> None:
    """Print what preparing costs, then what doing it in other processes adds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs: about 15 s")
    quick = parser.parse_args().quick
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        samples = [(path.name, path.read_bytes()) for path in write_samples(Path(folder))]
        console.print(_compare_ways(samples, rounds=3 if quick else 11))
    photo = dict(samples)["3 Mpx JPEG"]
    console.print(_measure_processes(photo, rounds=15 if quick else 60))


def plainly(content: bytes) -> bytes:
    """The way most programs do it, to compare with."""
    image = Image.open(BytesIO(content)).convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    sink = BytesIO()
    image.save(sink, "JPEG", optimize=True)
    return sink.getvalue()


def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """A photo-like picture: smooth colour, texture in between, and sensor noise at the finest scale."""
    rng = random.Random(seed)

    def grain(divisor: int) -> Image.Image:
        small = (max(1, width // divisor), max(1, height // divisor))
        noise = Image.frombytes("L", small, rng.randbytes(small[0] * small[1]))
        return noise.resize((width, height), Image.Resampling.BICUBIC)

    colour = Image.merge("RGB", [grain(64), grain(96), grain(128)])
    texture = ImageChops.add(grain(4), grain(1).filter(ImageFilter.GaussianBlur(1)), scale=2)
    return Image.blend(colour, Image.merge("RGB", [texture] * 3), 0.4)


def write_samples(folder: Path) -> list[Path]:
    """Every sample as a file in `folder`."""
    see_through = photo(2310, 1732)
    see_through.putalpha(Image.radial_gradient("L").resize(see_through.size))
    pictures: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("1024 px JPEG", photo(1024, 768), {"quality": 90}),
        ("1 Mpx JPEG", photo(1152, 864), {"quality": 90}),
        *((f"{side} px JPEG", photo(side, side * 3 // 4), {"quality": 90}) for side in BETWEEN),
        ("3 Mpx JPEG", photo(*THREE_MEGAPIXELS), {"quality": 90}),
        ("12 Mpx JPEG", photo(4032, 3024), {"quality": 90}),
        ("24 Mpx JPEG", photo(6000, 4000), {"quality": 90}),
        ("4 Mpx PNG, alpha", see_through, {"format": "PNG", "compress_level": 3}),
        ("3 Mpx WEBP", photo(*THREE_MEGAPIXELS), {"format": "WEBP", "quality": 85, "method": 1}),
    ]
    for name, picture, options in pictures:
        picture.save(folder / name, **{"format": "JPEG", **options})
    return [folder / name for name, _, _ in pictures]


def _compare_ways(samples: list[Sample], rounds: int) -> Table:
    table = Table(
        title=f"CPU per image, to {SIDE} px",
        caption="dB: PSNR against LANCZOS over white; the plain way shows what transparency hides",
    )
    for heading in ("image", "plain ms", "ours ms", "ratio", "plain dB", "ours dB", "plain kB", "ours kB"):
        table.add_column(heading, justify="right", no_wrap=heading == "image")
    for name, content in samples:
        plain_ms, ours_ms = _interleaved(partial(plainly, content), partial(_ours, content), rounds)
        plain, ours = plainly(content), _ours(content)
        table.add_row(
            name,
            f"{plain_ms:.1f}",
            f"{ours_ms:.1f}",
            f"{plain_ms / ours_ms:.1f}x",
            f"{_likeness(plain, content):.1f}",
            f"{_likeness(ours, content):.1f}",
            f"{len(plain) // 1000}",
            f"{len(ours) // 1000}",
        )
    return table


def _ours(content: bytes) -> bytes:
    return prepare(content, POLICY).content


def _likeness(made: bytes, original: bytes) -> float:
    """PSNR in dB against the original over white, scaled by LANCZOS to the size that was made."""
    image = Image.open(BytesIO(made)).convert("RGB")
    source = Image.open(BytesIO(original)).convert("RGBA")
    small = source.resize(image.size, Image.Resampling.LANCZOS)
    reference = Image.new("RGB", image.size, "white")
    reference.paste(small, mask=small.getchannel("A"))
    error = ImageStat.Stat(ImageChops.difference(image, reference)).sum2
    return 10 * math.log10(255**2 * 3 * image.width * image.height / max(sum(error), 1))


def _interleaved(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median CPU ms of each; they take turns."""
    costs: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, cost in zip((one, other), costs, strict=True):
            started = time.process_time()
            work()
            cost.append(1000 * (time.process_time() - started))
    return median(costs[0]), median(costs[1])


def _measure_processes(picture: bytes, rounds: int) -> Table:
    table = Table(title="In decoder processes")
    table.add_column("what")
    table.add_column("figure", justify="right")
    sink = BytesIO()
    photo(64, 64).save(sink, "JPEG")
    with Preparer(1) as one, Preparer(2) as two:
        one.warm()
        two.warm()
        for name, content in (("64 px", sink.getvalue()), ("3 Mpx", picture)):
            direct, pooled = _latencies(content, one, rounds)
            table.add_row(f"{name}: time added to {direct:.2f} ms", f"{pooled - direct:+.2f} ms")
        direct_cpu, pooled_cpu = _cpu_with_children(picture, rounds)
        table.add_row(
            f"3 Mpx: CPU added to {direct_cpu:.2f} ms", f"{100 * (pooled_cpu / direct_cpu - 1):+.0f} %"
        )
        ours, bare = _speedups(picture, one, two, rounds)
        machine = f"{os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}"  # others' work shows here first
        table.add_row(f"3 Mpx: two processes, on {machine}", f"{ours:.2f}x of one")
        table.add_row("two cores at work that shares nothing, at the same time", f"{bare:.2f}x of one")
    return table


def _speedups(picture: bytes, one: Preparer, two: Preparer, rounds: int) -> tuple[float, float]:
    """How much faster two are than one: decoder processes, and cores that do nothing but hash, in turns."""
    ours, bare = [], []
    for _ in range(7):
        ours.append(_seconds(picture, one, rounds) / _seconds(picture, two, rounds))
        bare.append(_hashing(1, rounds) / _hashing(2, rounds))
    return median(ours), median(bare)


def _hashing(threads: int, rounds: int) -> float:
    """Seconds; hashlib lets go of the interpreter meanwhile."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: hashlib.pbkdf2_hmac("sha256", b"", b"", 20_000), range(rounds)))
        return time.perf_counter() - started


def _latencies(content: bytes, preparer: Preparer, rounds: int) -> tuple[float, float]:
    """Median ms directly and through the pool, taking turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, times in zip((prepare, preparer.prepare), taken, strict=True):
            started = time.perf_counter()
            work(content, POLICY)
            times.append(1000 * (time.perf_counter() - started))
    return median(taken[0]), median(taken[1])


def _cpu_with_children(content: bytes, rounds: int) -> tuple[float, float]:
    """CPU ms per image directly, and through a pool: ours plus, once it has ended, the child's.

    The child's start is measured by a pool that prepares a single image, and taken off.
    """

    def spent(images: int) -> float:
        before = os.times()
        with Preparer(1) as preparer:
            for _ in range(images):
                preparer.prepare(content, POLICY)
        return 1000 * (sum(os.times()[:4]) - sum(before[:4]))

    started = time.process_time()
    for _ in range(rounds):
        prepare(content, POLICY)
    direct = 1000 * (time.process_time() - started) / rounds
    return direct, (spent(rounds + 1) - spent(1)) / rounds


def _seconds(content: bytes, preparer: Preparer, rounds: int) -> float:
    with ThreadPoolExecutor(8) as threads:
        started = time.perf_counter()
        list(threads.map(lambda _: preparer.prepare(content, POLICY), range(rounds)))
        return time.perf_counter() - started


if __name__ == "__main__":
    main()

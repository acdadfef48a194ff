"""What pictures lose on their way: `python -m bench.resampling --python PEERS`.

SSIM (luma, a Gaussian of 11 px) at the size that is made. `resampling` is ours against LANCZOS from the
full size, neither saved; `JPEG` is LANCZOS saved as we save, against itself unsaved; `both` is what is sent
against LANCZOS unsaved, and `saved alike` against LANCZOS saved. PEERS is an interpreter with opencv.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from bench.imaging import BETWEEN, photo
from worker.encoding import encoded
from worker.imaging import Policy, prepare
from worker.jpeg_decoder import JpegFile
from worker.shrinking import shrunk

HERE = Path(__file__).parent
HEADINGS = ("resampling", "JPEG", "both", "saved alike")
MOST_BYTES = 10_000_000
WAYS = {
    "1/2": (2000, 1000),
    "1/4": (4000, 1000),
    "3/8": (2400, 900),
    **{f"{side:,} to 1,024": (side, 1024) for side in (1152, *BETWEEN)},
}
"""px of the longer side before and after, by how it is done."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="an interpreter with opencv")
    python = parser.parse_args().python
    table = Table(title="SSIM")
    for heading in ("picture", "done by", *HEADINGS):
        table.add_column(heading, justify="right" if heading in HEADINGS else "left")
    for name, draw in {"photo with noise": photo, "product on white": product, "text": text}.items():
        for way, (side, best_side) in WAYS.items():
            picture = draw(side, side * 3 // 4)
            sink = BytesIO()
            picture.save(sink, "JPEG", quality=92)
            found = _likenesses(sink.getvalue(), Policy(best_side=best_side), python)
            table.add_row(name, way, *(f"{one:.4f}" for one in found))
    Console(width=100).print(table)


def product(width: int, height: int) -> Image.Image:
    """Something with an outline, an edge and a shadow on a white ground."""
    image = Image.new("RGB", (width, height), "white")
    drawing = ImageDraw.Draw(image)
    middle, unit = (width // 2, height // 2), height // 10
    for step in range(4 * unit):
        shade = 190 - 130 * step // (4 * unit)
        row = middle[1] - 2 * unit + step
        drawing.line((middle[0] - 2 * unit, row, middle[0] + 2 * unit, row), (shade, shade // 2, 60))
    drawing.ellipse(
        (middle[0] + unit, middle[1] - unit, middle[0] + 3 * unit, middle[1] + unit), (40, 70, 160)
    )
    drawing.text((middle[0] - unit, middle[1]), "No. 5", "white", ImageFont.load_default(unit))
    return image


def text(width: int, height: int) -> Image.Image:
    """Lines of print, down to 11 px high once they are at 1,000 px."""
    image = Image.new("RGB", (width, height), (250, 250, 246))
    drawing, top, size = ImageDraw.Draw(image), height // 40, height // 20
    while top + size < height:
        font = ImageFont.load_default(size)
        drawing.text(
            (width // 30, top), "Ingredients: water, sugar, cocoa 12 %, salt. " * 3, (20, 20, 40), font
        )
        top, size = round(top + 1.5 * size), max(height // 68, round(size * 0.9))
    return image


def _likenesses(content: bytes, policy: Policy, python: str) -> Iterator[float]:
    sent = Image.open(BytesIO(prepare(content, policy).content)).convert("RGB")
    best = Image.open(BytesIO(content)).convert("RGB").resize(sent.size, Image.Resampling.LANCZOS)
    with JpegFile(BytesIO(content)) as source:
        ours = shrunk(source, sent.size, [])
    saved = Image.open(BytesIO(encoded(best, MOST_BYTES)[0])).convert("RGB")
    for one, other in ((ours, best), (saved, best), (sent, best), (sent, saved)):
        yield _ssim(one, other, python)


def _ssim(one: Image.Image, other: Image.Image, python: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("one.png", "other.png")]
        one.save(paths[0])
        other.save(paths[1])
        command = [python, str(HERE / "_peer.py"), "ssim", *map(str, paths)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()

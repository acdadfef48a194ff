"""What is background and what is subject.

The frame's edge is taken for background; the subject is what differs from the background that
the edge suggests. A subject that fills the frame is therefore not found, and none is claimed.
"""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from PIL import Image, ImageChops, ImageFilter

from local.analyst.colors import RGB, Lab, NamedColor, distance, nearest, to_hex, to_lab

BackgroundKind = Literal["plain", "gradient", "busy"]

RING_SIDE = 40  # pixels; the edge is judged on a copy of this size, which averages noise away
ALIKE = 9.0  # CIELAB units: seen as the same surface
STEP = 3.5  # CIELAB units between neighbours on a smooth surface
PLAIN_SHARE = 0.86
SMOOTH_SHARE = 0.93
THRESHOLDS: dict[BackgroundKind, int] = {"plain": 22, "gradient": 30, "busy": 64}
SMALLEST_COVER = 4  # of 255: part of a row or column that the subject must fill to count
SMALLEST_BOX = 0.002  # of the frame; anything less is dust


@dataclass(frozen=True)
class Background:
    """The surface around the subject; `uniformity` is the share of the edge in one colour, 0..1."""

    kind: BackgroundKind
    color: NamedColor
    hex: str
    uniformity: float


@dataclass(frozen=True)
class Box:
    """Where the subject is, in pixels of the original, and its box's share of the frame (0..1)."""

    x: int
    y: int
    width: int
    height: int
    share: float


def background(picture: Image.Image) -> Background:
    """Judge the frame's edge of an RGB image."""
    ring = _ring(picture)
    labs = [to_lab(rgb) for rgb in ring]
    middle = _median_color(ring)
    uniformity = sum(distance(to_lab(middle), lab) < ALIKE for lab in labs) / len(labs)
    return Background(_kind(uniformity, labs), nearest(middle), to_hex(middle), uniformity)


def _kind(uniformity: float, labs: list[Lab]) -> BackgroundKind:
    if uniformity >= PLAIN_SHARE:
        return "plain"
    smooth = sum(distance(one, other) < STEP for one, other in pairwise(labs))
    return "gradient" if smooth >= SMOOTH_SHARE * (len(labs) - 1) else "busy"


def _ring(picture: Image.Image) -> list[RGB]:
    """Walk once around the edge of a small copy, so that neighbours in the list are neighbours."""
    small = picture.resize((RING_SIDE, RING_SIDE), Image.Resampling.BOX)
    last = RING_SIDE - 1
    walk = [(i, 0) for i in range(last)] + [(last, i) for i in range(last)]
    walk += [(last - i, last) for i in range(last)] + [(0, last - i) for i in range(last)]
    pixels = small.tobytes()
    starts = (3 * (y * RING_SIDE + x) for x, y in walk)
    return [(pixels[at], pixels[at + 1], pixels[at + 2]) for at in starts]


def _median_color(pixels: list[RGB]) -> RGB:
    red, green, blue = (round(median(pixel[channel] for pixel in pixels)) for channel in range(3))
    return red, green, blue


def subject_mask(picture: Image.Image, kind: BackgroundKind) -> Image.Image:
    """Mark (L, 0 or 255) the pixels that differ from the background the edge suggests."""
    red, green, blue = ImageChops.difference(picture, _suggested_background(picture)).split()
    farthest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    threshold = THRESHOLDS[kind]
    marked = farthest.point([255 if value > threshold else 0 for value in range(256)])
    return marked.filter(ImageFilter.MedianFilter(5))


def _suggested_background(picture: Image.Image) -> Image.Image:
    """Stretch the four edges across the frame and blend them (a Coons patch without its corner term)."""
    (width, height), size = picture.size, picture.size
    strip = max(1, min(size) // 40)
    left = _stretched(picture, (0, 0, strip, height), (1, height), size)
    right = _stretched(picture, (width - strip, 0, width, height), (1, height), size)
    top = _stretched(picture, (0, 0, width, strip), (width, 1), size)
    bottom = _stretched(picture, (0, height - strip, width, height), (width, 1), size)
    downwards = Image.linear_gradient("L")
    rightwards = downwards.transpose(Image.Transpose.TRANSPOSE)
    across = Image.composite(right, left, rightwards.resize(size))
    return Image.blend(across, Image.composite(bottom, top, downwards.resize(size)), 0.5)


def _stretched(
    picture: Image.Image, strip: tuple[int, int, int, int], line: tuple[int, int], size: tuple[int, int]
) -> Image.Image:
    return picture.crop(strip).resize(line, Image.Resampling.BOX).resize(size)


def subject_box(mask: Image.Image, original: tuple[int, int]) -> Box | None:
    """Bound the marked pixels, in pixels of the original size; None where nothing stands out.

    Rows and columns with next to nothing marked are left out, so specks do not stretch the box.
    """
    columns = _extent(mask.resize((mask.width, 1), Image.Resampling.BOX).tobytes())
    rows = _extent(mask.resize((1, mask.height), Image.Resampling.BOX).tobytes())
    if columns is None or rows is None:
        return None
    x0, x1 = (round(value * original[0] / mask.width) for value in columns)
    y0, y1 = (round(value * original[1] / mask.height) for value in rows)
    share = (x1 - x0) * (y1 - y0) / (original[0] * original[1])
    return Box(x0, y0, x1 - x0, y1 - y0, share) if share >= SMALLEST_BOX else None


def _extent(cover: bytes) -> tuple[int, int] | None:
    filled = [place for place, value in enumerate(cover) if value >= SMALLEST_COVER]
    return (filled[0], filled[-1] + 1) if filled else None

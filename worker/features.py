"""What a picture looks like, in numbers that lie near each other for pictures that look alike.

Measured with every preparation, on the picture as it is sent: upright, opaque, sRGB. docs/similar.md says
what the numbers mean and how they were chosen; core.likeness compares them. Who changes what they are must
count core.likeness.VERSION up, so that stored ones are measured again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from PIL import Image, ImageChops

from core import layout
from core.likeness import EDGES, FRAME, HASH_SIDE, SHAPE, TONES, Features, Part

LOOK = 256
"""px: every so many-th pixel is looked at, which averages out what noise there is at a third of the CPU."""
SIDE = 64
"""px: measured is a picture of this size, whatever its shape was."""
STEP = 3
"""Levels by which a pixel must be brighter than its left neighbour: paper is not made of steps."""
APART = 28
"""Levels between the background and what stands before it."""
COLOURFUL = 48
"""Levels of saturation below which a colour is a grey."""
HUES, GREYS = 12, 4
FRAME_GRID, EDGE_GRID, SHAPE_GRID = 4, 3, 5
SLANTS = ((1, 0), (0, 1), (1, 1), (1, -1))
"""px right and down: edges that are upright, level, and slanting either way."""
Box = tuple[int, int, int, int]

_BRIGHTER = [255 if level > STEP else 0 for level in range(256)]
_BEFORE = [255 if level > APART else 0 for level in range(256)]
_COLOURED = [255 if level >= COLOURFUL else 0 for level in range(256)]


def measure(image: Image.Image) -> Features:
    """The features of a picture of any size, in colours or greys; about 0.7 ms of CPU."""
    small = _small(image).convert("RGB")
    grey, ycc = small.convert("L"), small.convert("YCbCr")
    mask = _before(small, _ground(small))
    box = mask.getbbox() or (0, 0, SIDE, SIDE)
    vector = (
        *_weighted(FRAME, _cells(ycc, FRAME_GRID, (0, 0, SIDE, SIDE))),
        *_weighted(TONES, _tones(small, mask)),
        *_weighted(EDGES, _edges(grey, box)),
        *_weighted(SHAPE, [*_cells(mask, SHAPE_GRID, box), _slenderness(box, image.size)]),
    )
    return Features(_hash(grey), _scaled(ycc, layout.SIDE).tobytes(), vector)


def _small(image: Image.Image) -> Image.Image:
    if max(image.size) > LOOK:
        image = image.resize((LOOK, LOOK), Image.Resampling.NEAREST)
    return image.reduce(LOOK // SIDE) if image.size == (LOOK, LOOK) else _scaled(image, SIDE)


def _scaled(image: Image.Image, side: int, box: Box | None = None) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BOX, box=box)


def _cells(image: Image.Image, side: int, box: Box) -> list[float]:
    """The mean of each cell of a grid over a part of the picture, channel by channel, 0 to 1."""
    return [level / 255 for level in _scaled(image, side, box).tobytes()]


def _weighted(part: Part, values: Iterable[float]) -> list[float]:
    return [part.weight * value for value in values]


def _hash(grey: Image.Image) -> bytes:
    """A difference hash (N. Krawetz, "Kind of Like That", 2013): what is brighter than what is left of it."""
    tiny = grey.resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BILINEAR)
    left, right = (tiny.crop((start, 0, start + HASH_SIDE, HASH_SIDE)) for start in (0, 1))
    return ImageChops.subtract(right, left).point(_BRIGHTER, "1").tobytes()


def _ground(small: Image.Image) -> tuple[int, ...]:
    """The median colour of the outermost pixels."""
    pixels, row = small.tobytes(), 3 * SIDE
    rims = (
        pixels[channel:row:3]  # top, bottom, left and right
        + pixels[channel - row :: 3]
        + pixels[channel::row]
        + pixels[row - 3 + channel :: row]
        for channel in range(3)
    )
    return tuple(sorted(rim)[len(rim) // 2] for rim in rims)


def _before(small: Image.Image, ground: tuple[int, ...]) -> Image.Image:
    """255 where a pixel is of another colour than the background."""
    red, green, blue = ImageChops.difference(small, Image.new("RGB", small.size, ground)).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue).point(_BEFORE)


def _tones(small: Image.Image, mask: Image.Image) -> list[float]:
    """Roots of the shares of each hue, then of dark to light greys, in what stands before the background."""
    hue, saturation, value = small.convert("HSV").split()
    coloured = ImageChops.darker(mask, saturation.point(_COLOURED))
    hues, greys = hue.histogram(coloured), value.histogram(ImageChops.subtract(mask, coloured))
    counts = [*_bins(hues, HUES), *_bins(greys, GREYS)]
    whole = sum(counts) or 1
    return [math.sqrt(count / whole) for count in counts]


def _bins(histogram: list[int], number: int) -> list[int]:
    edges = [round(256 * place / number) for place in range(number + 1)]
    return [sum(histogram[start:end]) for start, end in pairwise(edges)]


def _edges(grey: Image.Image, box: Box) -> list[float]:
    """How strong the edges of each slant are in each cell of the subject's box."""
    return [
        cell
        for right, down in SLANTS
        for cell in _cells(ImageChops.difference(grey, ImageChops.offset(grey, right, down)), EDGE_GRID, box)
    ]


def _slenderness(box: Box, size: tuple[int, int]) -> float:
    """-1 (8 times as high as wide) to 1 (8 times as wide as high), of the subject's box."""
    width, height = (box[2] - box[0]) * size[0], (box[3] - box[1]) * size[1]
    return max(-1.0, min(1.0, math.log2(width / height) / 3))

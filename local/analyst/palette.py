"""Which colours an image has, by name and share."""

from collections import defaultdict
from dataclasses import dataclass
from typing import cast

from PIL import Image

from local.analyst.colors import RGB, NamedColor, nearest, to_hex

SIDE = 72  # pixels; shares settle to a percent well below this
MOST_NAMES = 5
SMALLEST_SHARE = 0.03  # below this it is an edge, a reflection or a JPEG artefact
OPAQUE = 255
FIVE_BITS = [(value & 0xF8) | (value >> 5) for value in range(256)]


@dataclass(frozen=True)
class ColorShare:
    """A named colour, the mean of the pixels called by that name, and their share (0..1)."""

    color: NamedColor
    hex: str
    share: float


def palette(picture: Image.Image, mask: Image.Image | None = None) -> tuple[ColorShare, ...]:
    """Name an RGB image's colours, largest share first; shares sum to 1.

    `mask` is an L image of the same size; only pixels under 255 of it count.
    """
    counts = _count(picture, mask)
    named: dict[NamedColor, list[tuple[int, RGB]]] = defaultdict(list)
    for count, rgb in counts:
        named[nearest(_rounded(rgb))].append((count, rgb))
    totals = {color: sum(count for count, _ in members) for color, members in named.items()}
    kept = _largest(totals)
    whole = sum(totals[color] for color in kept)
    return tuple(ColorShare(color, _mean_hex(named[color]), totals[color] / whole) for color in kept)


def _count(picture: Image.Image, mask: Image.Image | None) -> list[tuple[int, RGB]]:
    """Count the colours under a mask."""
    small = picture.copy()
    if mask is not None:
        small.putalpha(mask)
    small.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
    pairs = cast("list[tuple[int, tuple[int, ...]]]", small.getcolors(SIDE * SIDE) or [])
    return [
        (count, (red, green, blue)) for count, (red, green, blue, *rest) in pairs if rest in ([], [OPAQUE])
    ]


def _rounded(rgb: RGB) -> RGB:
    """Round to five bits a channel, black and white kept exact, so that few colours need naming."""
    return FIVE_BITS[rgb[0]], FIVE_BITS[rgb[1]], FIVE_BITS[rgb[2]]


def _largest(totals: dict[NamedColor, int]) -> list[NamedColor]:
    """Pick the names worth mentioning; ties are settled by name, so that answers repeat."""
    whole = sum(totals.values())
    ranked = sorted(totals, key=lambda color: (-totals[color], color.en))
    return [color for color in ranked[:MOST_NAMES] if totals[color] >= SMALLEST_SHARE * whole] or ranked[:1]


def _mean_hex(members: list[tuple[int, RGB]]) -> str:
    whole = sum(count for count, _ in members)
    red, green, blue = (
        round(sum(count * rgb[channel] for count, rgb in members) / whole) for channel in range(3)
    )
    return to_hex((red, green, blue))

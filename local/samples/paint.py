"""Colours and how they blend: a ramp of a few shades makes a flat outline look round or lit."""

from collections.abc import Sequence

from PIL import Image, ImageColor

RGB = tuple[int, int, int]


def shade(color: str, by: float) -> RGB:
    """Lighten a colour towards white (up to 1) or darken it towards black (down to -1)."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    goal = 255 if by > 0 else 0
    mixed = [round(channel + (goal - channel) * abs(by)) for channel in (red, green, blue)]
    return mixed[0], mixed[1], mixed[2]


def around(color: str, depth: float = 0.35) -> list[RGB]:
    """Shade a round body lit from the left."""
    return [shade(color, by * depth) for by in (-0.6, 0.35, 0.7, 0.1, -0.3, -0.9)]


def slope(color: str, depth: float = 0.25) -> list[RGB]:
    """Shade a flat body lit from above."""
    return [shade(color, depth), shade(color, 0), shade(color, -depth)]


def ramp(colors: Sequence[RGB], size: tuple[int, int], *, across: bool) -> Image.Image:
    """Fill an area with colours that blend from left to right, or from top to bottom."""
    line = Image.new("RGB", (len(colors), 1) if across else (1, len(colors)))
    line.putdata(list(colors))
    return line.resize(size, Image.Resampling.BICUBIC)

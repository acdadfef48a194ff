"""Vectors of pictures: their colours on a coarse grid, so that those that look alike are near each other."""

import math

from PIL import Image

GRID = 8
MIDDLE = 127.5
"""Of a channel: darker points one way, lighter the other."""


def vector(picture: Image.Image) -> list[float]:
    """A vector of length 1 with 192 numbers, of an RGB picture."""
    cells = picture.resize((GRID, GRID), Image.Resampling.BOX).tobytes()
    numbers = [value - MIDDLE for value in cells]
    size = math.hypot(*numbers)  # never 0: no whole number is the middle
    return [number / size for number in numbers]

"""A frame around a photograph, and what differs from a colour.

A frame runs along all four sides in one colour, ends abruptly and equally far in, and has a picture in it. So
does the margin around a rectangular product, but for two things: it is wider than frames mostly are, above
all where it is as light as backgrounds are; and inside of it there may be one colour only, which no picture
has.
"""

from __future__ import annotations

from PIL import Image, ImageChops

Color = tuple[int, int, int]

APART = 24
"""Levels between a background and what stands before it: above the noise of JPEG, below pale products."""
BEGINS, STEP = 12, 32
"""Levels: where a frame begins to end, and how far from it what is inside must be."""
ABRUPT = 3
"""px within which it has to end: shadows and vignettes take longer."""
UNEQUAL = 2
"""px that its sides may differ by."""
WIDEST, WIDEST_LIGHT = 0.027, 0.019
"""Of the longer side: what is wider is a margin. 40 and 30 px of 1600."""
LIGHT_FROM = 200
"""Channels of a colour that backgrounds have."""
WHOLE, PLAIN = 0.9, 0.98
"""Share of one colour along a frame's side, and of all that it surrounds where that is no picture."""
BLEEDS = 8
"""px of what is inside that a frame still tints: JPEG stores colour in blocks."""
FULL = 255


def edges(size: tuple[int, int], width: int) -> list[tuple[int, int, int, int]]:
    """The boxes of the four bands of so many px along the sides."""
    wide, high = size
    return [
        (0, 0, wide, width),
        (0, high - width, wide, high),
        (0, 0, width, high),
        (wide - width, 0, wide, high),
    ]


def ground(image: Image.Image, width: int) -> Color:
    """The median colour of a picture's edges, so many px wide."""
    histogram = [0] * 768
    for box in edges(image.size, width):
        histogram = [one + more for one, more in zip(histogram, image.crop(box).histogram(), strict=True)]
    red, green, blue = (_median(histogram[start : start + 256]) for start in (0, 256, 512))
    return red, green, blue


def apart(image: Image.Image, color: Color) -> Image.Image:
    """How far each pixel is from a colour: the levels in the channel that differs most."""
    red, green, blue = ImageChops.difference(image, Image.new("RGB", image.size, color)).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def beyond(levels: Image.Image, most: int) -> Image.Image:
    """255 where there are more levels than that."""
    return levels.point([FULL if level > most else 0 for level in range(256)])


def count_beyond(levels: Image.Image, most: int) -> int:
    """How many pixels have more levels than that."""
    return sum(levels.histogram()[most + 1 :])


def frame_width(image: Image.Image) -> int:
    """How many px wide the frame around a picture is; 0 where there is none."""
    color = ground(image, 1)
    levels = apart(image, color)
    if not all(_is_of_one(levels.crop(box), WHOLE) for box in edges(image.size, 1)):
        return 0
    widest = WIDEST_LIGHT if min(color) >= LIGHT_FROM else WIDEST
    most = round(max(image.size) * widest) + ABRUPT
    depths = [_depth(side, most) for side in _each_side_on_top(levels)]
    if 0 in depths or max(depths) - min(depths) > UNEQUAL:
        return 0
    width = max(depths)
    return 0 if _is_plain(within(image, width)) else width


def within(image: Image.Image, width: int) -> Image.Image:
    """A picture without the frame of that width, and without what that tints."""
    cut = width + BLEEDS
    return image.crop((cut, cut, max(image.width - cut, cut + 1), max(image.height - cut, cut + 1)))


def _each_side_on_top(levels: Image.Image) -> list[Image.Image]:
    turns = (Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_90)
    return [levels, *(levels.transpose(turn) for turn in turns)]


def _depth(levels: Image.Image, most: int) -> int:
    """How many rows from the top an even band ends, all along it and abruptly; 0 where it does not."""
    begins, ends = (_rows_below(levels, level, most) for level in (BEGINS, STEP))
    return ends if ends and ends - begins < ABRUPT else 0


def _rows_below(levels: Image.Image, level: int, most: int) -> int:
    """How many rows are above the first that nearly all of goes beyond a level; 0 where none of so many does.

    What the two other sides of a frame cover of a row, so far down, is left out of it.
    """
    rows = min(most + 1, levels.height)
    side = min(most, levels.width // 4)
    band = beyond(levels.crop((side, 0, levels.width - side, rows)), level)
    shares = band.resize((1, rows), Image.Resampling.BOX).tobytes()
    return next((row for row, share in enumerate(shares) if share >= WHOLE * FULL), 0)


def _is_plain(image: Image.Image) -> bool:
    """Whether a picture is of the colour of its edges, and so none."""
    return _is_of_one(apart(image, ground(image, 1)), PLAIN)


def _is_of_one(levels: Image.Image, share: float) -> bool:
    """Whether so much of a picture has the colour that these are the distances from."""
    return count_beyond(levels, APART) <= (1 - share) * levels.width * levels.height


def _median(histogram: list[int]) -> int:
    half, seen = sum(histogram) / 2, 0
    for value, count in enumerate(histogram):
        seen += count
        if seen >= half:
            return value
    return 0

"""What can be measured of a product photograph without asking anyone.

Runs in the decoder processes, on the clean picture that `worker.imaging` makes: upright, opaque, sRGB, its
longest side at most SIDE.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, ImageStat

from worker import pixels
from worker.imaging import Policy, Prepared, prepare

SIDE = 1024
"""px: sharpness and noise are judged at this size; a blurred photo looks sharp once it is small enough."""
LEAST = 32
"""px: what is smaller is enlarged."""
SMALL_SIDE = 256
"""px: for what `worker.pixels` measures of the picture as a whole."""
EDGE_SHARE = 0.02
"""How wide the edge is that the background is read from, as a part of the shorter side."""
WHITE_FROM = 250
"""Channels of white: JPEG leaves a trace of what is near."""
APART = 24
"""Levels between the background and what stands before it: above the noise of JPEG, below pale products."""
EVEN_FROM = 0.9
"""Share of the edges that has one colour: below it, what differs from that colour is not the subject."""
FRAME_UNIFORM, FRAME_STEP = 8.0, 32.0
"""Levels: how even a frame is, and how far from what it surrounds."""


def measure(content: bytes, policy: Policy) -> dict[str, Any]:
    """Measures of a picture by name, for JSON; shares and likelihoods from 0 to 1. Raises as `prepare`."""
    picture = prepare(content, policy)
    with Image.open(BytesIO(picture.content), formats=("JPEG",)) as opened:
        image = _large_enough(opened.convert("RGB"))
    grey = image.convert("L")
    small = grey.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BOX)
    background = _background(image)
    found = {
        **_size(picture),
        **background,
        **_subject(image, background["background_evenness"]),
        "sharpness": pixels.sharpness(grey),
        "noise": pixels.noise(grey),
        "brightness": pixels.brightness(small),
        "contrast": pixels.contrast(small),
        "text_likelihood": pixels.text_likelihood(small),
        "has_border": _has_border(image),
    }
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}


def _large_enough(image: Image.Image) -> Image.Image:
    """The picture, or one of as many pixels as edges and steps can be found in."""
    if min(image.size) >= LEAST:
        return image
    return image.resize((max(image.width, LEAST), max(image.height, LEAST)), Image.Resampling.NEAREST)


def _size(picture: Prepared) -> dict[str, Any]:
    width, height = picture.original_width, picture.original_height
    return {
        "format": picture.original_format,
        "bytes": picture.original_bytes,
        "width": width,
        "height": height,
        "longest_side": max(width, height),
        "shortest_side": min(width, height),
        "megapixels": width * height / 1e6,
        "aspect_ratio": width / height,
    }


def _background(image: Image.Image) -> dict[str, Any]:
    """The colour of the edges, how even they are, and what share of them is white."""
    edges = [image.crop(box) for box in _edges(image.size, 0, _edge_width(image))]
    sizes = [edge.width * edge.height for edge in edges]
    white = sum(_white_pixels(edge) for edge in edges) / sum(sizes)
    even = sum(_near_pixels(edge, _ground(image)) for edge in edges) / sum(sizes)
    red, green, blue = _ground(image)
    return {
        "background_color": f"#{red:02x}{green:02x}{blue:02x}",
        "background_evenness": even,
        "background_white": white,
    }


def _subject(image: Image.Image, evenness: float) -> dict[str, Any]:
    """How much of the frame what stands before the background takes: of its area, and of its longer side.

    Nobody can tell where the background is not even.
    """
    mask = _apart_from(image, _ground(image))
    box = mask.getbbox()
    if box is None:
        return {"subject_share": 0.0, "subject_extent": 0.0}
    if evenness < EVEN_FROM:
        return {"subject_share": None, "subject_extent": None}
    width, height = (box[2] - box[0]) / image.width, (box[3] - box[1]) / image.height
    return {"subject_share": width * height, "subject_extent": max(width, height)}


def _has_border(image: Image.Image) -> bool:
    """Whether an even frame runs around all four sides, of another colour than what is just inside it."""
    width = max(1, round(min(image.size) * 0.005))
    inside = max(width + 1, round(min(image.size) * 0.06))
    outer = [ImageStat.Stat(image.crop(box)) for box in _edges(image.size, 0, width)]
    inner = [ImageStat.Stat(image.crop(box)) for box in _edges(image.size, inside, inside + width)]
    if any(max(ring.stddev) > FRAME_UNIFORM for ring in outer):
        return False
    return all(
        max(abs(one - other) for one, other in zip(ring.mean, within.mean, strict=True)) > FRAME_STEP
        for ring, within in zip(outer, inner, strict=True)
    )


def _edges(size: tuple[int, int], start: int, end: int) -> list[tuple[int, int, int, int]]:
    """The boxes of four bands, `start` to `end` px from the edge."""
    width, height = size
    return [
        (start, start, width - start, end),
        (start, height - end, width - start, height - start),
        (start, start, end, height - start),
        (width - end, start, width - start, height - start),
    ]


def _edge_width(image: Image.Image) -> int:
    return max(1, round(min(image.size) * EDGE_SHARE))


def _ground(image: Image.Image) -> tuple[int, int, int]:
    """The median colour of the edges."""
    histogram = [0] * 768
    for box in _edges(image.size, 0, _edge_width(image)):
        histogram = [one + more for one, more in zip(histogram, image.crop(box).histogram(), strict=True)]
    red, green, blue = (_median(histogram[start : start + 256]) for start in (0, 256, 512))
    return red, green, blue


def _median(histogram: list[int]) -> int:
    half, seen = sum(histogram) / 2, 0
    for value, count in enumerate(histogram):
        seen += count
        if seen >= half:
            return value
    return 0


def _apart_from(image: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    """255 where a pixel differs from the colour in any channel."""
    apart = ImageChops.difference(image, Image.new("RGB", image.size, color))
    red, green, blue = apart.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return most.point([255 if level > APART else 0 for level in range(256)])


def _near_pixels(image: Image.Image, color: tuple[int, int, int]) -> int:
    return _apart_from(image, color).histogram()[0]


def _white_pixels(image: Image.Image) -> int:
    red, green, blue = image.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    return sum(least.histogram()[WHITE_FROM:])

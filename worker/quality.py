"""What can be measured of a product photograph without asking anyone.

Runs in the decoder processes, on the clean picture that `worker.imaging` makes: upright, opaque, sRGB, its
longest side at most SIDE.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image, ImageChops

from worker import border, pixels
from worker.border import APART
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
EVEN_FROM = 0.9
"""Share of the edges that has one colour: below it, what differs from that colour is not the subject."""


def measure(content: bytes, policy: Policy) -> dict[str, Any]:
    """Measures of a picture by name, for JSON; shares and likelihoods from 0 to 1. Raises as `prepare`."""
    picture = prepare(content, policy)
    with Image.open(BytesIO(picture.content), formats=("JPEG",)) as opened:
        image = _large_enough(opened.convert("RGB"))
    grey = image.convert("L")
    small = grey.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BOX)
    frame = border.frame_width(image)
    framed = border.within(image, frame) if frame else image
    background = _background(framed)
    found = {
        **_size(picture),
        **background,
        **_subject(framed, background["background_evenness"], image.size),
        "sharpness": pixels.sharpness(grey),
        "noise": pixels.noise(grey),
        "brightness": pixels.brightness(small),
        "contrast": pixels.contrast(small),
        "text_likelihood": pixels.text_likelihood(small),
        "has_border": frame > 0,
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
    color = _ground(image)
    edges = [image.crop(box) for box in border.edges(image.size, _edge_width(image))]
    size = sum(edge.width * edge.height for edge in edges)
    apart = sum(border.count_beyond(border.apart(edge, color), APART) for edge in edges)
    red, green, blue = color
    return {
        "background_color": f"#{red:02x}{green:02x}{blue:02x}",
        "background_evenness": 1 - apart / size,
        "background_white": sum(_white_pixels(edge) for edge in edges) / size,
    }


def _subject(image: Image.Image, evenness: float, whole: tuple[int, int]) -> dict[str, Any]:
    """How much of the whole picture what stands before the background takes: of its area, and longer side.

    Nobody can tell where the background is not even.
    """
    box = border.beyond(border.apart(image, _ground(image)), APART).getbbox()
    if box is None:
        return {"subject_share": 0.0, "subject_extent": 0.0}
    if evenness < EVEN_FROM:
        return {"subject_share": None, "subject_extent": None}
    width, height = (box[2] - box[0]) / whole[0], (box[3] - box[1]) / whole[1]
    return {"subject_share": width * height, "subject_extent": max(width, height)}


def _edge_width(image: Image.Image) -> int:
    return max(1, round(min(image.size) * EDGE_SHARE))


def _ground(image: Image.Image) -> border.Color:
    return border.ground(image, _edge_width(image))


def _white_pixels(image: Image.Image) -> int:
    red, green, blue = image.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    return sum(least.histogram()[WHITE_FROM:])

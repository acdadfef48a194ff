"""Drawn product photos in thousands of scenes, and what happens to pictures on their way through shops.

The products are those of `local.samples`, each in other colours, of another size and in another place, alone
or beside a second one, before other backdrops and under other light. A scene is drawn from its number.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFont

from local.samples import homeware, worn
from local.samples.backdrops import gradient, plain, room
from local.samples.photo import Photo

PRODUCTS = (
    homeware.mug,
    homeware.bottle,
    homeware.lamp,
    homeware.chair,
    homeware.book,
    homeware.plant,
    worn.handbag,
    worn.headphones,
    worn.sunglasses,
    worn.t_shirt,
    worn.trainer,
    worn.watch,
)
SIZES = ((400, 400), (400, 400), (480, 360), (360, 480))
PAPERS = ("#ffffff", "#ffffff", "#ffffff", "#f4f6f8", "#f6c8d4", "#cfd3da", "#6f8fa8", "#23242b", "#e8dcc6")

Treatment = Callable[[Image.Image, random.Random], Image.Image]


@dataclass(frozen=True)
class Scene:
    """A photo, and what it shows."""

    image: Image.Image
    products: tuple[str, ...]


def scene(number: int) -> Scene:
    """The photo of this number."""
    dice = random.Random(number)
    size = dice.choice(SIZES)
    image = _backdrop(dice, size)
    products = tuple(_place(image, dice) for _ in range(dice.choice((1, 1, 1, 2))))
    image = ImageEnhance.Brightness(image).enhance(dice.uniform(0.75, 1.1))
    return Scene(_grain(image, dice) if dice.random() < 0.5 else image, products)


def _backdrop(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    kind = dice.random()
    if kind < 0.45:
        return plain(size, dice.choice(PAPERS))
    if kind < 0.6:
        return gradient(size, _colour(dice), _colour(dice))
    if kind < 0.75:
        return recoloured(room(size), dice.randrange(256))
    return _clouds(dice, size)


def _clouds(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Something out of focus."""
    few = (dice.randint(2, 7), dice.randint(2, 7))
    bands = [Image.frombytes("L", few, dice.randbytes(few[0] * few[1])) for _ in range(3)]
    return Image.merge("RGB", bands).resize(size, Image.Resampling.BICUBIC)


def _place(image: Image.Image, dice: random.Random) -> str:
    """Put a product of some colour somewhere; its name."""
    side = round(min(image.size) * dice.uniform(0.5, 1.0))
    draw, turn = dice.choice(PRODUCTS), dice.randrange(256)
    on_white, on_black = (Photo(Image.new("RGB", (side, side), ground)) for ground in ("white", "black"))
    draw(on_white)
    draw(on_black)
    apart = ImageChops.difference(on_white.image, on_black.image).convert("L")
    cut = recoloured(on_white.image, turn)
    cover = ImageChops.invert(apart)
    if dice.random() < 0.5:
        cut, cover = (each.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for each in (cut, cover))
    corner = dice.randint(0, image.width - side), dice.randint(0, image.height - side)
    image.paste(cut, corner, cover)
    return draw.__name__


def recoloured(image: Image.Image, by: int) -> Image.Image:
    """The same in other colours: each hue moved by so many of 256."""
    hue, saturation, value = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point([(h + by) % 256 for h in range(256)]), saturation, value)).convert(
        "RGB"
    )


def _grain(image: Image.Image, dice: random.Random) -> Image.Image:
    grain = Image.frombytes("L", image.size, dice.randbytes(image.width * image.height))
    return ImageChops.add(
        image, Image.merge("RGB", [grain.point([v // 10 for v in range(256)])] * 3), offset=-13
    )


def _colour(dice: random.Random) -> str:
    return f"#{dice.randrange(1 << 24):06x}"


def _resized(image: Image.Image, dice: random.Random) -> Image.Image:
    scale = dice.uniform(0.4, 1.6)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, dice.choice((Image.Resampling.LANCZOS, Image.Resampling.BILINEAR)))


def _recompressed(image: Image.Image, dice: random.Random) -> Image.Image:
    sink = BytesIO()
    image.save(sink, "JPEG", quality=dice.randint(20, 70))
    return Image.open(sink).convert("RGB")


def _cropped(image: Image.Image, dice: random.Random, most: float = 0.1) -> Image.Image:
    """Up to a tenth of the width and of the height cut off, split between the sides anyhow."""
    across, down = dice.uniform(0.02, most), dice.uniform(0.02, most)
    left, top = dice.uniform(0, across), dice.uniform(0, down)
    w, h = image.size
    return image.crop(
        (round(left * w), round(top * h), round((1 - across + left) * w), round((1 - down + top) * h))
    )


def _watermarked(image: Image.Image, dice: random.Random) -> Image.Image:
    """Words across the middle or in a corner, half transparent."""
    layer = image.copy()
    draw = ImageDraw.Draw(layer)
    middle = dice.random() < 0.5
    size = image.width / (8 if middle else 16)
    where = (image.width / 2, image.height / 2) if middle else (image.width * 0.8, image.height * 0.92)
    draw.text(
        where,
        dice.choice(("SAMPLE", "vitrine.example", "© Shop")),
        "white" if dice.random() < 0.5 else "#333333",
        ImageFont.load_default(size),
        anchor="mm",
    )
    return Image.blend(image, layer, dice.uniform(0.35, 0.7))


TREATMENTS: dict[str, Treatment] = {
    "resize": _resized,
    "recompress": _recompressed,
    "small crop": _cropped,
    "watermark": _watermarked,
    "all four": lambda image, dice: _recompressed(
        _watermarked(_cropped(_resized(image, dice), dice, 0.06), dice), dice
    ),
}

"""The dozen photos: what each shows, how it is taken, what to ask, and what to expect of the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image

from local.samples.backdrops import gradient, plain, room
from local.samples.finishes import blurred, cut_out, grainy, on_its_side, phone_exif, underexposed
from local.samples.homeware import book, bottle, chair, lamp, mug, plant
from local.samples.photo import Photo
from local.samples.worn import handbag, headphones, sunglasses, t_shirt, trainer, watch

Finish = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Shot:
    """How one sample is taken: product, backdrop, size in pixels, file, and what is done to it."""

    name: str
    file: str
    draw: Callable[[Photo], None]
    backdrop: Callable[[tuple[int, int]], Image.Image]
    size: tuple[int, int]
    question: str
    expected: dict[str, Any]
    finish: Finish | None = None
    options: dict[str, Any] = field(default_factory=dict)


SHOTS = (
    Shot(
        "mug",
        "mug.jpg",
        mug,
        plain,
        (1200, 1200),
        "Is the background plain white, and what colour is the mug?",
        {"color": "red", "background": "plain", "background_color": "white"},
    ),
    Shot(
        "trainer",
        "trainer.jpg",
        trainer,
        partial(plain, color="#f4f6f8"),
        (1500, 1200),
        "What are the main colours of this shoe?",
        {"color": "blue", "background": "plain", "orientation": 6, "gps": True},
        on_its_side,
        {"exif": phone_exif},
    ),
    Shot(
        "handbag",
        "handbag.png",
        handbag,
        partial(plain, color="#f6c8d4"),
        (1000, 1000),
        "Describe this handbag for the product page.",
        {"color": "tan", "background": "plain", "background_color": "pink"},
    ),
    Shot(
        "t-shirt",
        "t-shirt.png",
        t_shirt,
        plain,
        (1000, 1000),
        "Which colour should the filter list for this T-shirt?",
        {"color": "navy", "background": "plain", "alpha": True},
        cut_out,
    ),
    Shot(
        "bottle",
        "bottle.webp",
        bottle,
        partial(gradient, top="#fdf3e2", bottom="#d9a76a"),
        (900, 1400),
        "Is the bottle well lit and in focus?",
        {"color": "green", "background": "gradient"},
    ),
    Shot(
        "watch",
        "watch.jpg",
        watch,
        partial(gradient, top="#777a86", bottom="#3c3d46"),
        (1000, 1000),
        "Is this photo bright enough for the shop?",
        {"exposure": "dark"},
        underexposed,
    ),
    Shot(
        "lamp",
        "lamp.jpg",
        lamp,
        partial(plain, color="#6f8fa8"),
        (2400, 3000),
        "What colours are the lamp and the wall?",
        {"color": "yellow", "background": "plain", "progressive": True},
        None,
        {"progressive": True},
    ),
    Shot(
        "chair",
        "chair.jpg",
        chair,
        room,
        (1200, 1200),
        "Is the background too busy for the catalogue?",
        {"background": "busy", "mode": "CMYK"},
        lambda image: image.convert("CMYK"),
    ),
    Shot(
        "book",
        "book.jpg",
        book,
        partial(gradient, top="#d8c6a4", bottom="#b99b6b"),
        (1200, 1500),
        "Does the picture contain text?",
        {"color": "burgundy", "text": True},
    ),
    Shot(
        "headphones",
        "headphones.jpg",
        headphones,
        partial(plain, color="#cfd3da"),
        (1000, 1000),
        "Is the picture noisy or blurred?",
        {"noisy": True, "sharp": True},
        grainy,
    ),
    Shot(
        "plant",
        "plant.gif",
        plant,
        partial(gradient, top="#eaf6f2", bottom="#b5d9cf"),
        (800, 800),
        "How much of the picture does the plant fill?",
        {"color": "green", "background": "gradient"},
    ),
    Shot(
        "sunglasses",
        "sunglasses.jpg",
        sunglasses,
        plain,
        (1600, 1000),
        "Is this photo sharp enough to publish?",
        {"sharp": False},
        blurred,
    ),
)

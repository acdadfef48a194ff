"""Everything that is measured of one image."""

import hashlib
import io
import math
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageOps

from local.analyst.errors import ApiError, invalid
from local.analyst.palette import ColorShare, palette
from local.analyst.scene import Background, Box, background, subject_box, subject_mask
from worker import pixels

SIDE = 256  # pixels: the longer side of the copy that is measured
MOST_PIXELS = 60_000_000
REMEMBERED = 2048  # measurements, about 3 kB each
COMMON_RATIOS = ((1, 1), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1), (3, 4), (2, 3), (9, 16), (4, 5), (1, 2))

SHARP_FROM = 0.4  # see `pixels.sharpness`
DARK_BELOW, BRIGHT_FROM = 0.25, 0.6
NOISY_FROM = 3.0  # grey levels at 256 pixels
LOW_CONTRAST_BELOW = 0.12
TEXT_FROM = 0.5

Orientation = Literal["square", "portrait", "landscape"]


@dataclass(frozen=True)
class Measurement:
    """What the pixels of one image say; see the functions that fill each field for units."""

    sha256: str
    bytes: int
    format: str
    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float
    laplacian_variance: float
    noise: float
    text_likelihood: float
    background: Background
    subject: Box | None
    colors: tuple[ColorShare, ...]
    subject_colors: tuple[ColorShare, ...]

    @property
    def is_sharp(self) -> bool:
        """Whether edges are as crisp as the picture's size allows."""
        return self.sharpness >= SHARP_FROM

    @property
    def is_noisy(self) -> bool:
        """Whether grain would be seen."""
        return self.noise >= NOISY_FROM

    @property
    def has_text(self) -> bool:
        """Whether text is more likely than not."""
        return self.text_likelihood >= TEXT_FROM

    @property
    def exposure(self) -> Literal["dark", "medium", "bright"]:
        """The brightness as a word."""
        if self.brightness < DARK_BELOW:
            return "dark"
        return "bright" if self.brightness >= BRIGHT_FROM else "medium"

    @property
    def orientation(self) -> Orientation:
        """The format as a word; within 2 % of square is square."""
        if abs(math.log(self.width / self.height)) < 0.02:
            return "square"
        return "landscape" if self.width > self.height else "portrait"

    @property
    def aspect(self) -> str:
        """The nearest common ratio such as `4:3`, or the width over the height such as `1.73:1`."""
        ratio = self.width / self.height
        wide, high = min(COMMON_RATIOS, key=lambda pair: abs(math.log(ratio * pair[1] / pair[0])))
        near = abs(math.log(ratio * high / wide)) < 0.02
        return f"{wide}:{high}" if near else f"{ratio:.2f}:1"

    @property
    def quality(self) -> float:
        """One figure from 0 to 1: sharpness, less what noise, darkness and flatness take away."""
        score = min(1.0, self.sharpness / 0.65)
        score *= 1 - min(0.6, self.noise / 20)
        score *= min(1.0, 0.3 + self.brightness * 2.8)
        return round(score * min(1.0, 0.5 + self.contrast * 4), 3)

    @property
    def separation(self) -> float:
        """How safely subject and background were told apart, 0..1."""
        certainty = {"plain": 0.95, "gradient": 0.8, "busy": 0.4}[self.background.kind]
        return certainty if self.subject else certainty / 2


def measure(data: bytes) -> Measurement:
    """Measure an encoded image; raises ApiError (400) for one that cannot be decoded."""
    digest = hashlib.sha256(data).hexdigest()
    known = _memory.recall(digest)
    if known is None:
        known = _measure(data, digest)
        _memory.keep(known)
    return known


def _measure(data: bytes, digest: str) -> Measurement:
    picture, kind, (width, height) = opened(data)
    grey = picture.convert("L")
    ground = background(picture)
    mask = subject_mask(picture, ground.kind)
    box = subject_box(mask, (width, height))
    colors = palette(picture)
    return Measurement(
        sha256=digest,
        bytes=len(data),
        format=kind,
        width=width,
        height=height,
        brightness=pixels.brightness(grey),
        contrast=pixels.contrast(grey),
        sharpness=pixels.sharpness(grey),
        laplacian_variance=pixels.laplacian_variance(grey),
        noise=pixels.noise(grey),
        text_likelihood=pixels.text_likelihood(grey),
        background=ground,
        subject=box,
        colors=colors,
        subject_colors=palette(picture, mask) if box else colors,
    )


def opened(data: bytes) -> tuple[Image.Image, str, tuple[int, int]]:
    """Give a small upright RGB copy, the format, and the upright size in pixels."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            _refuse_huge(image)
            kind, size = image.format or "unknown", image.size
            image.draft("RGB", (SIDE, SIDE))
            small = _flat(_shrunk(image))
            upright = ImageOps.exif_transpose(_with_exif_of(image, small))
    except ApiError:
        raise
    except Exception as error:
        # Decoders raise TypeError, IndexError, KeyError and more besides OSError on hostile bytes.
        raise invalid(f"The image cannot be decoded: {error}", "messages", "invalid_image_format") from error
    turned = (upright.width > upright.height) != (small.width > small.height)
    return upright, kind, (size[1], size[0]) if turned else size


def _refuse_huge(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise invalid(
            f"The image has {image.width} x {image.height} pixels; at most {MOST_PIXELS} are measured.",
            "messages",
            "image_too_large",
        )


def _shrunk(image: Image.Image) -> Image.Image:
    image.load()
    plain = image if image.mode in {"RGB", "L", "RGBA", "CMYK"} else image.convert("RGBA")
    scale = SIDE / max(plain.size)
    if scale >= 1:
        return plain.copy()
    size = (max(1, round(plain.width * scale)), max(1, round(plain.height * scale)))
    return plain.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def _flat(image: Image.Image) -> Image.Image:
    """Lay transparency on white, as shops show cut-out products."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


def _with_exif_of(source: Image.Image, copy: Image.Image) -> Image.Image:
    copy.info["exif"] = source.getexif().tobytes()
    return copy


class _Memory:
    """The latest measurements by digest: the same bytes always measure the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Measurement] = OrderedDict()

    def recall(self, digest: str) -> Measurement | None:
        with self._lock:
            return self._kept.get(digest)

    def keep(self, measurement: Measurement) -> None:
        with self._lock:
            self._kept[measurement.sha256] = measurement
            if len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)


_memory = _Memory()

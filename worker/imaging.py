"""Makes any picture fit to be sent: small, upright, opaque, sRGB, and clean of everything but its pixels.

Pure functions from bytes to bytes. This module is loaded in the decoder processes, so it imports
Pillow, pybase64 and what is small of core only. The order of the steps is what makes it cheap: the size is
judged from the header, a JPEG is decoded at a fraction of its size, and everything that costs by the
pixel (rotation, transparency, colour) is done after shrinking.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

import pybase64
from PIL import Image, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile

from core.errors import ImageError, ImageTooLarge, ImageUndecodable
from core.image_sizes import Sizing
from core.image_tokens import Counting
from core.likeness import Features
from core.media import allowed_kinds
from worker import features
from worker.colour import flattened, in_srgb, narrowed_on_the_way
from worker.encoding import encoded
from worker.formats import DECODERS, FORMATS, format_of, webp_canvas
from worker.keeping import Kept, keep
from worker.shrinking import fitted, shrunk

if TYPE_CHECKING:
    from config import Settings

_LARGEST_SIDE = 2**31 - 1  # px: what says more is a number below 0 that was read without its sign

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.32, tag 0x0112: how to turn what is stored into what was seen
_ORIENTATION_TAG = 0x0112
_REASONS = {
    "truncated": "it is truncated",
    "MAX_TEXT_": "it has more text beside the picture than is read",
}  # by what Pillow's errors have in them
_FIRST_SIDEWAYS = 5


@dataclass(frozen=True)
class Policy:
    """What to make of an image."""

    best_side: int = 1024
    """px: the longest side afterwards. It may come out up to 5 % smaller, and is never enlarged."""
    sizing: Sizing | None = None
    """Decides in the place of `best_side` where a model is to see the image."""
    max_pixels: int = 25_000_000
    """An image that declares more is refused from its header, before it is decoded."""
    max_bytes: int = 5_000_000
    """Of the encoded result: the endpoint's limit."""
    formats: frozenset[str] = FORMATS
    """Pillow's names of what is accepted; what is not in FORMATS is never decoded."""
    measured: bool = False
    """Whether a decoder process gives the measures of the picture, and not the picture."""

    @classmethod
    def of(cls, settings: Settings, **size: Any) -> Self:
        """What the settings say, for a picture of this size: a `best_side` or a `sizing`."""
        return cls(
            **size,
            max_pixels=settings.max_image_pixels,
            max_bytes=settings.endpoint_image_bytes,
            formats=frozenset(kind.pillow for kind in allowed_kinds(settings.allowed_extensions)),
        )

    def target(self, source: ImageFile.ImageFile) -> tuple[int, int]:
        """The size in px that a picture is to get."""
        is_jpeg = source.format == "JPEG"
        if self.sizing is None:
            return fitted(*source.size, self.best_side, is_jpeg=is_jpeg)
        return self.sizing.size(*source.size, is_jpeg=is_jpeg)


@dataclass(frozen=True)
class Prepared:
    """An image ready to be sent, and what was done to it."""

    content: bytes
    """JPEG: pixels and tables; no EXIF, ICC profile, comment, thumbnail or trailing bytes."""
    media_type: str
    width: int
    height: int
    original_width: int
    """px, as a person sees it: after EXIF orientation."""
    original_height: int
    original_format: str
    original_bytes: int
    quality: int | None
    """Of the encoder; None where the picture was kept, whose quality is that of its source."""
    actions: tuple[str, ...]
    """Of kept, or first_frame, rotated, shrunk, converted:<mode>, flattened, converted:icc.

    A picture that is kept is sent as it was saved, without all that is not pixels. Palettes and black and
    white are not told of, for they lose nothing on the way to colours and greys.
    """
    features: Features
    orientation: int = 1
    """EXIF's, 1 to 8: how the stored pixels were turned."""
    detail: str = "auto"
    """What the endpoint is told of how closely to look."""

    def data_url(self) -> str:
        """The content as a `data:` URL (RFC 2397)."""
        return f"data:{self.media_type};base64,{pybase64.b64encode_as_string(self.content)}"

    def tokens(self, counting: Counting) -> tuple[int, int]:
        """What the image takes of a model, as it came and as it is sent."""
        came = counting.rule.see(self.original_width, self.original_height, self.detail)
        return came.tokens, counting.rule.see(self.width, self.height, self.detail).tokens

    def report(self, counting: Counting) -> dict[str, Any]:
        """What came in, what goes out, and what was done between, for JSON."""
        came, goes = self.tokens(counting)
        return {
            "original": {
                "width": self.original_width,
                "height": self.original_height,
                "format": self.original_format,
                "bytes": self.original_bytes,
                "tokens": came,
            },
            "sent": {
                "width": self.width,
                "height": self.height,
                "bytes": len(self.content),
                "media_type": self.media_type,
                "quality": self.quality,
                "tokens": goes,
            },
            "tokens_counted_as": counting.name,
            "scale": round(max(self.width, self.height) / max(self.original_width, self.original_height), 4),
            "actions": list(self.actions),
        }


def prepare(content: bytes, policy: Policy) -> Prepared:
    """Turn the bytes of any accepted image into a clean JPEG that fits the policy.

    Raises ImageTooLarge when it has too many pixels, or cannot be made to fit `max_bytes`;
    ImageUndecodable for everything else, since decoders raise anything when they are fed damage.
    """
    try:
        return _prepare(content, policy)
    except ImageError:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(
            "The image needs more memory than decoding is given: send a smaller one."
        ) from error
    except Exception as error:
        raise ImageUndecodable(
            f"The image is damaged and cannot be decoded{_reason(error)}: save it again as JPEG or PNG."
        ) from error


def _prepare(content: bytes, policy: Policy) -> Prepared:
    name = format_of(content, policy.formats)
    if name == "WEBP":
        _judge_size(webp_canvas(content), policy)
    with DECODERS[name](BytesIO(content)) as source:
        _judge_size(source.size, policy)
        # Before the orientation, for which a PNG is decoded.
        stored, narrowed = source.size, narrowed_on_the_way(source)
        orientation, target = _orientation(source), policy.target(source)
        is_fit = target == source.size and orientation not in _UPRIGHT
        kept = keep(source, content, policy.max_bytes) if is_fit else None
        if kept:
            return _as_it_is(kept, stored, len(content))
        actions = ["first_frame"] if _has_more_frames(source, content) else []
        actions += [f"converted:{narrowed}"] if narrowed else []
        image = shrunk(source, target, actions)
    if orientation in _UPRIGHT:
        actions.append("rotated")
        if name != "TIFF":  # its decoder has turned the pixels, and swapped the size it declared
            image = image.transpose(_UPRIGHT[orientation])
            stored = stored[::-1] if orientation >= _FIRST_SIDEWAYS else stored
    image = in_srgb(flattened(image, actions), actions)
    sent, (width, height), quality = encoded(image, policy.max_bytes)
    if max(width, height) < max(stored):
        actions.append("shrunk")
    return Prepared(
        sent,
        "image/jpeg",
        width,
        height,
        *stored,
        name,
        len(content),
        quality,
        tuple(actions),
        features.measure(image),
        orientation,
    )


def _reason(error: Exception) -> str:
    """What decoders say and people understand, in brackets; most of what they say is about themselves."""
    said = str(error)
    return next((f" ({reason})" for words, reason in _REASONS.items() if words in said), "")


def _as_it_is(kept: Kept, size: tuple[int, int], original_bytes: int) -> Prepared:
    return Prepared(
        kept.content, "image/jpeg", *size, *size, "JPEG", original_bytes, None, ("kept",), kept.features
    )


def _judge_size(size: tuple[int, int], policy: Policy) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageUndecodable("The image has no pixels: save it again as JPEG or PNG.")
    if max(size) > _LARGEST_SIDE:
        raise ImageUndecodable("The image says that a side is less than 0: save it again as JPEG or PNG.")
    if width * height > policy.max_pixels:
        raise ImageTooLarge(
            f"The image has {width:,} by {height:,} pixels, and at most "
            f"{policy.max_pixels / 1e6:g} million are taken: send a smaller one."
        )


def _orientation(source: ImageFile.ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 when the tag is damaged, for the picture may still be good."""
    if isinstance(source, PngImageFile):  # to read its tag decodes it, and what is wrong is to be heard
        source.load()
    try:
        return int(source.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - the parser raises as many kinds as the decoders do
        return 1


def _has_more_frames(source: ImageFile.ImageFile, content: bytes) -> bool:
    if isinstance(source, GifImageFile):
        # Pillow would seek to find out. Every frame shown for a time has a control block (GIF89a, 23).
        return content.count(b"\x21\xf9\x04") > 1
    return bool(getattr(source, "is_animated", False))

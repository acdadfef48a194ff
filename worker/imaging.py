"""Makes any picture fit to be sent: small, upright, opaque, sRGB, and clean of everything but its pixels.

Pure functions from bytes to bytes. This module is loaded in the decoder processes, so it imports
Pillow, pybase64 and `core.errors` only. The order of the steps is what makes it cheap: the size is
judged from the header, a JPEG is decoded at a fraction of its size, and everything that costs by the
pixel (rotation, transparency, colour) is done after shrinking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any

import pybase64
from PIL import Image, ImageCms, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from core.errors import ImageError, ImageTooLarge, ImageUndecodable

# Opened by class, not by Image.open: no other of Pillow's forty decoders can then be reached, and the
# JPEG class takes the first picture of a multi-picture file (MPO, as phones write) as the JPEG it is.
_DECODERS: dict[str, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "AVIF": AvifImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "TIFF": TiffImageFile,
    "WEBP": WebPImageFile,
}
FORMATS = frozenset(_DECODERS)

# (offset, bytes there, what it is): a key of _DECODERS, or words for a person.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphe", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIC photo"),
    (4, b"ftypmsf1", "a HEIC photo"),
    (4, b"ftyp", "a video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000 image"),
    (0, b"\0\0\0\x0cJXL", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\1\0", "an icon"),
)

# 85 keeps label text legible; what is smaller comes only where the endpoint's limit asks for it.
_QUALITIES = (85, 75, 65, 50)
_SHRINK_STEP = 0.75
_SMALLEST_SIDE = 64  # px: below this there is nothing left to ask about

# A whole-number reduction within 5 % below the asked side is taken as it is: a 4,032 px photo becomes
# 1,008 px without a second resampling, at half the CPU (bench/imaging.py, "12 Mpx").
_NEAR_ENOUGH = 0.95

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
_FIRST_SIDEWAYS = 5

_SRGB = ImageCms.createProfile("sRGB")
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # ICC.1:2022, 7.2.8


@dataclass(frozen=True)
class Policy:
    """What to make of an image."""

    best_side: int = 1024
    """px: the longest side afterwards. It may come out up to 5 % smaller, and is never enlarged."""
    max_pixels: int = 25_000_000
    """An image that declares more is refused from its header, before it is decoded."""
    max_bytes: int = 5_000_000
    """Of the encoded result: the endpoint's limit."""
    formats: frozenset[str] = FORMATS
    """Pillow's names of what is accepted; what is not in FORMATS is never decoded."""


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
    quality: int
    actions: tuple[str, ...]
    """Of first_frame, rotated, shrunk, converted:<mode>, flattened, converted:icc."""

    def data_url(self) -> str:
        """The content as a `data:` URL (RFC 2397)."""
        return f"data:{self.media_type};base64,{pybase64.b64encode_as_string(self.content)}"

    def report(self) -> dict[str, Any]:
        """What came in, what goes out, and what was done between, for JSON."""
        return {
            "original": {
                "width": self.original_width,
                "height": self.original_height,
                "format": self.original_format,
                "bytes": self.original_bytes,
            },
            "sent": {
                "width": self.width,
                "height": self.height,
                "bytes": len(self.content),
                "media_type": self.media_type,
                "quality": self.quality,
            },
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
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageUndecodable(
            f"The image is damaged and cannot be decoded ({reason}): save it again as JPEG or PNG."
        ) from error


def fitted(width: int, height: int, best_side: int) -> tuple[int, int]:
    """The size in px at which an image is sent: at least 1 by 1, at most best_side, never enlarged."""
    longest = max(width, height)
    if longest <= best_side:
        return width, height
    divisor = -(-longest // best_side)
    if longest // divisor >= _NEAR_ENOUGH * best_side:
        return max(1, width // divisor), max(1, height // divisor)
    return max(1, round(width * best_side / longest)), max(1, round(height * best_side / longest))


def _prepare(content: bytes, policy: Policy) -> Prepared:
    name = _recognise(content, policy)
    if name == "WEBP":
        _judge_size(_webp_canvas(content), policy)
    with _DECODERS[name](BytesIO(content)) as source:
        _judge_size(source.size, policy)
        stored = source.size
        orientation = _orientation(source)
        actions = ["first_frame"] if _has_more_frames(source, content) else []
        image = _shrunk(source, policy.best_side, actions)
    if orientation in _UPRIGHT:
        actions.append("rotated")
        if name != "TIFF":  # its decoder has turned the pixels, and swapped the size it declared
            image = image.transpose(_UPRIGHT[orientation])
            stored = stored[::-1] if orientation >= _FIRST_SIDEWAYS else stored
    image = _in_srgb(_flattened(image, actions), actions)
    encoded, (width, height), quality = _encoded(image, policy.max_bytes)
    if max(width, height) < max(stored):
        actions.append("shrunk")
    return Prepared(
        encoded, "image/jpeg", width, height, *stored, name, len(content), quality, tuple(actions)
    )


def _recognise(content: bytes, policy: Policy) -> str:
    """The format, by content alone. Raises ImageUndecodable, saying what it is instead, if not accepted."""
    looks = next((what for at, mark, what in _SIGNATURES if content.startswith(mark, at)), "")
    if looks == "a HEIC photo" and b"avif" in content[16:64]:  # a general brand, AVIF among its kin
        looks = "AVIF"
    if looks in policy.formats and looks in _DECODERS:
        return looks
    if looks in _DECODERS:
        looks = f"a {looks} image, which is not accepted here"
    raise ImageUndecodable(
        f"This is {looks or _look_of_text(content)}, not an image that can be used: "
        f"save it as JPEG or PNG and send that."
    )


def _look_of_text(content: bytes) -> str:
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file"
    if b"<svg" in head:
        return "an SVG drawing"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    return "text" if head.isascii() and b"\0" not in head else "a file of an unknown kind"


def _webp_canvas(content: bytes) -> tuple[int, int]:
    """Width and height from the first chunk (RFC 9649): the decoder allocates them as soon as it opens."""
    kind, at = content[12:16], content[20:30]
    if kind == b"VP8X":
        return int.from_bytes(at[4:7], "little") + 1, int.from_bytes(at[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(at[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(at[6:8], "little") & 0x3FFF, int.from_bytes(at[8:10], "little") & 0x3FFF


def _judge_size(size: tuple[int, int], policy: Policy) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageUndecodable("The image has no pixels: save it again as JPEG or PNG.")
    if width * height > policy.max_pixels:
        raise ImageTooLarge(
            f"The image has {width:,} by {height:,} pixels, and at most "
            f"{policy.max_pixels / 1e6:g} million are taken: send a smaller one."
        )


def _orientation(source: ImageFile.ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 when the tag is damaged, for the picture may still be good."""
    try:
        return int(source.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - the parser raises as many kinds as the decoders do
        return 1


def _has_more_frames(source: ImageFile.ImageFile, content: bytes) -> bool:
    if isinstance(source, GifImageFile):
        # Pillow would seek to find out. Every frame shown for a time has a control block (GIF89a, 23).
        return content.count(b"\x21\xf9\x04") > 1
    return bool(getattr(source, "is_animated", False))


def _shrunk(source: ImageFile.ImageFile, best_side: int, actions: list[str]) -> Image.Image:
    """Decode, at a fraction of the size where the format can, and resample to the size to be sent."""
    target = fitted(*source.size, best_side)
    drafted = source.draft(None, target) if target != source.size else None
    source.load()
    image = _in_smooth_mode(source, actions)
    if image.size == target:
        return image
    # BICUBIC: 0.4 dB closer to LANCZOS than HAMMING for 5 % more CPU. A gap of 1.0 lets whole-number
    # averaging do all it can first; RGBA and LA are premultiplied by resize(), so that edges stay clean.
    return image.resize(
        target, Image.Resampling.BICUBIC, box=drafted[1] if drafted else None, reducing_gap=1.0
    )


def _in_smooth_mode(image: Image.Image, actions: list[str]) -> Image.Image:
    """The image in a mode whose pixels can be averaged: L, LA, RGB, RGBA, CMYK, YCbCr or LAB."""
    if image.mode in {"CMYK", "YCbCr", "LAB"}:
        actions.append(f"converted:{image.mode}")
        return image
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        actions.append(f"converted:{image.mode}")
        return _narrowed(image)
    if _has_transparency(image):
        return image.convert("LA" if image.mode in {"La", "LA"} else "RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def _has_transparency(image: Image.Image) -> bool:
    key = image.info.get("transparency")
    if max(key if isinstance(key, tuple) else (0,)) > 255:
        del image.info["transparency"]  # of a 16-bit PNG, whose pixels Pillow has made 8-bit
    return image.has_transparency_data


def _narrowed(image: Image.Image) -> Image.Image:
    """One channel of 16 or 32 bits, or of floats, as 8 bits.

    Known ranges (16 bits, 0 to 1, 0 to 255) are kept; all else is stretched from its least to its greatest.
    """
    sixteen_bits = image.mode.startswith("I;16")
    wide = image.convert("F")
    low, high = (0.0, 65535.0) if sixteen_bits else _range(wide)
    scale = 255 / (high - low)
    grey = wide.point(lambda value: value * scale - low * scale + 0.5).convert("L")
    grey.info = {"icc_profile": image.info.get("icc_profile")}
    return grey


def _range(image: Image.Image) -> tuple[float, float]:
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]  # one channel
    for top in (1.0, 255.0, 65535.0):
        if low >= 0 and high <= top:
            return 0.0, top
    return (low, high) if low < high else (0.0, 1.0)


def _flattened(image: Image.Image, actions: list[str]) -> Image.Image:
    """The image over white, as a shop page would show it."""
    if image.mode not in {"LA", "RGBA"}:
        return image
    opaque_mode = "L" if image.mode == "LA" else "RGB"
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert(opaque_mode)
    actions.append("flattened")
    canvas = Image.new(opaque_mode, image.size, "white")
    canvas.paste(image.convert(opaque_mode), mask=alpha)
    canvas.info = image.info
    return canvas


def _in_srgb(image: Image.Image, actions: list[str]) -> Image.Image:
    """The image as sRGB or grey, by its embedded profile where there is a usable one."""
    try:
        converted = _by_profile(image)
    except Exception:  # noqa: BLE001 - a broken profile is no reason to refuse the picture
        converted = None
    if converted:
        actions.append("converted:icc")
        return converted
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def _by_profile(image: Image.Image) -> Image.Image | None:
    """The image through its ICC profile; None when it has none, is sRGB already, or they do not match."""
    embedded = image.info.get("icc_profile")
    if not embedded:
        return None
    profile = ImageCms.ImageCmsProfile(BytesIO(embedded))
    mode = _MODE_OF_SPACE.get(profile.profile.xcolor_space.strip())
    if "sRGB" in (profile.profile.profile_description or ""):
        return None
    if mode == "RGB" and image.mode in {"L", "YCbCr"}:
        image = image.convert("RGB")
    if mode != image.mode:
        return None
    transform = ImageCms.buildTransform(
        profile,
        _SRGB,
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return transform.apply(image)


def _encoded(image: Image.Image, max_bytes: int) -> tuple[bytes, tuple[int, int], int]:
    """JPEG bytes of at most max_bytes, their size in px and quality. Raises ImageTooLarge if none fit."""
    for size, quality in _ladder(image.size):
        smaller = image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
        content = _jpeg(smaller, quality)
        if len(content) <= max_bytes:
            return content, size, quality
    raise ImageTooLarge(
        f"The image cannot be made to fit the {max_bytes:,} bytes that the endpoint takes: send a simpler "
        f"one."
    )


def _ladder(size: tuple[int, int]) -> Iterator[tuple[tuple[int, int], int]]:
    """Sizes and qualities to try, best first: every quality, then ever smaller at the lowest."""
    width, height = size
    for quality in _QUALITIES:
        yield size, quality
    for step in count(1):
        scale = _SHRINK_STEP**step
        if max(width, height) * scale < _SMALLEST_SIDE:
            return
        yield (max(1, round(width * scale)), max(1, round(height * scale))), _QUALITIES[-1]


def _jpeg(image: Image.Image, quality: int) -> bytes:
    image.info = {}  # save() would carry a comment over
    sink = BytesIO()
    # Chroma at full resolution: red print on blue keeps 31 dB instead of 17, for 1 ms and a fifth more
    # bytes on photos. optimize=True would save 3 % of the bytes for 10 % more CPU.
    image.save(sink, "JPEG", quality=quality, subsampling=0)
    return sink.getvalue()

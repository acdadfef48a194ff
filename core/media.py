"""What kind of image some bytes claim to be, by their first bytes; nothing is decoded here.

Signatures: RFC 2083 (PNG), ITU-T T.81 (JPEG), GIF89a, RIFF/WebP container, ISO 14496-12 brands (AVIF),
TIFF 6.0, Windows bitmap.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 32
"""Bytes that `sniff` looks at."""


@dataclass(frozen=True, slots=True)
class ImageKind:
    """An image format under the names that others know it by."""

    media_type: str
    extensions: frozenset[str]
    pillow: str


JPEG = ImageKind("image/jpeg", frozenset({"jpg", "jpeg"}), "JPEG")
PNG = ImageKind("image/png", frozenset({"png"}), "PNG")
GIF = ImageKind("image/gif", frozenset({"gif"}), "GIF")
BMP = ImageKind("image/bmp", frozenset({"bmp"}), "BMP")
WEBP = ImageKind("image/webp", frozenset({"webp"}), "WEBP")
AVIF = ImageKind("image/avif", frozenset({"avif"}), "AVIF")
TIFF = ImageKind("image/tiff", frozenset({"tif", "tiff"}), "TIFF")
KINDS = (JPEG, PNG, GIF, BMP, WEBP, AVIF, TIFF)

SIGNATURES = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
)


def sniff(head: bytes) -> ImageKind | None:
    """The kind of image that begins with these bytes, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp" and (b"avif" in head[8:HEAD] or b"avis" in head[8:HEAD]):
        return AVIF
    return next((kind for signature, kind in SIGNATURES if head.startswith(signature)), None)


def allowed_kinds(extensions: frozenset[str]) -> tuple[ImageKind, ...]:
    """The kinds that a set of file name extensions lets in."""
    return tuple(kind for kind in KINDS if kind.extensions & extensions)

"""What some bytes claim to be, by their first bytes; nothing is decoded here.

Signatures: ITU-T T.81 (JPEG), RFC 2083 (PNG), GIF89a, Windows bitmap, RFC 9649 (WebP), TIFF 6.0 and BigTIFF,
ISO 14496-12 brands (AVIF, HEIC).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

HEAD = 1_024
"""Bytes that `recognise` looks at."""
TEXT_HEAD = 64 * 1024
"""Bytes that `batch_input_type` looks at."""
ZIP, JSONL, CSV, TEXT = "application/zip", "application/jsonl", "text/csv", "text/plain"
OCTETS = "application/octet-stream"
"""Bytes that nobody looked into."""
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
NO_INPUT = (b"[", b"<", b"%PDF")
"""How text begins that is neither JSON Lines nor CSV: a JSON array, a web page or a drawing, a PDF."""


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

HEIC = "a HEIC photo"
SIGNATURES: tuple[tuple[int, bytes, ImageKind | str], ...] = (
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG\r\n\x1a\n", PNG),
    (0, b"GIF8", GIF),
    (0, b"BM", BMP),
    (8, b"WEBP", WEBP),
    (0, b"II*\0", TIFF),
    (0, b"MM\0*", TIFF),
    (0, b"II+\0", TIFF),
    (0, b"MM\0+", TIFF),
    (4, b"ftypavif", AVIF),
    (4, b"ftypavis", AVIF),
    (4, b"ftyphe", HEIC),
    (4, b"ftypmif1", HEIC),
    (4, b"ftypmsf1", HEIC),
    (4, b"ftyp", "a video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000 image"),
    (0, b"\0\0\0\x0cJXL", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\1\0", "an icon"),
)


def recognise(head: bytes) -> ImageKind | str:
    """The kind of image that begins with these bytes, or words for what they look like instead."""
    found = next((what for at, mark, what in SIGNATURES if head.startswith(mark, at)), None)
    if found == HEIC and b"avif" in head[16:64]:  # a general brand, with AVIF among its kin
        return AVIF
    return found or _look_of_text(head[:HEAD])


def allowed_kinds(extensions: frozenset[str]) -> tuple[ImageKind, ...]:
    """The kinds that a set of file name extensions lets in."""
    return tuple(kind for kind in KINDS if kind.extensions & extensions)


def batch_input_type(head: bytes) -> str | None:
    """ZIP, JSONL or CSV by how the bytes begin; None for what is neither an archive nor text in UTF-8.

    Only how the first line begins is judged: faults of lines are told with their numbers, all at once, when
    a batch is made of them.
    """
    if head.startswith(b"PK\3\4"):
        return ZIP
    begin = head.removeprefix(BOM).lstrip(BLANK)
    if not begin or b"\0" in head or begin.startswith(NO_INPUT):
        return None
    if begin.startswith(b"{"):
        return JSONL
    return CSV if _is_utf8(begin.partition(b"\n")[0]) else None


def _is_utf8(begin: bytes) -> bool:
    """Whether it is how UTF-8 may begin: its last character may be cut in two."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begin)
    except UnicodeDecodeError:
        return False
    return True


def _look_of_text(head: bytes) -> str:
    text = head.removeprefix(BOM).lstrip(BLANK).lower()
    if not text:
        return "an empty file"
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if text.startswith(b"["):
        return "a JSON array"
    return "text" if text.isascii() and b"\0" not in text else "a file of an unknown kind"

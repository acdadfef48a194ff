"""How large an image says that it is, by how its bytes begin; nothing is decoded."""

from __future__ import annotations

from io import BytesIO

import imagesize

HEAD = 256 * 1024
"""Bytes in which sizes stand: JPEGs have theirs behind EXIF and a thumbnail, but TIFFs maybe at their end."""


def size_of(head: bytes) -> tuple[int, int] | None:
    """Width and height in px; None where the bytes do not say, or nothing sensible."""
    width, height = imagesize.get(BytesIO(head), exif_rotation=False)
    return (width, height) if width > 0 and height > 0 else None

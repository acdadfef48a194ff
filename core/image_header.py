"""How large an image says that it is, by how its bytes begin; nothing is decoded."""

from __future__ import annotations

from io import BytesIO

import imagesize

HEAD = 256 * 1024
"""Bytes in which sizes stand: JPEGs have theirs behind EXIF and a thumbnail, but TIFFs maybe at their end."""


def size_of(head: bytes, *, upright: bool = False) -> tuple[int, int] | None:
    """Width and height in px, as stored or as EXIF turns them; None where that is not said, or no sense."""
    width, height = imagesize.get(BytesIO(head), exif_rotation=upright)
    return (width, height) if width > 0 and height > 0 else None

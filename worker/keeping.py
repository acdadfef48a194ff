"""JPEGs that are sent as they were saved: nothing but their metadata is taken away.

They are decoded once all the same, for damage is to be found here and not by the endpoint, and for what they
look like; at a fraction of their size, which leaves little but the reading of their codes.
"""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import ImageFile

from core.likeness import Features
from worker import features
from worker.colour import is_in_srgb
from worker.jpeg_decoder import JpegFile
from worker.jpeg_segments import END, cleaned
from worker.shrinking import fitted

_MOST_BYTES = 0.5  # for a pixel: what is heavier takes longer to send than to encode again
_AHEAD = 16  # bytes: more than libjpeg reads beyond the codes that it needs (8)


class Kept(NamedTuple):
    """A clean JPEG, and what it looks like."""

    content: bytes
    features: Features


def keep(source: ImageFile.ImageFile, content: bytes, most_bytes: int) -> Kept | None:
    """What is left of a file when all but the picture is gone; None where it is to be encoded again.

    That is: other formats and unusual files, colours that are not sRGB, damage, and what is too heavy.
    source: the same, opened and not decoded yet.
    """
    clean = cleaned(content) if source.format == "JPEG" and is_in_srgb(source) else None
    if clean is None or len(clean) > min(most_bytes, _MOST_BYTES * source.width * source.height):
        return None
    try:
        return Kept(clean, _looked_at(clean))
    except OSError:  # also where it could be decoded in part: what is sent anew is not damaged
        return None


def _looked_at(clean: bytes) -> Features:
    """Raises OSError where the codes do not end with the picture: they are damaged, or hide something."""
    stream = _ToTheEnd(clean)
    with JpegFile(stream) as picture:
        picture.draft(None, fitted(*picture.size, features.LOOK))
        picture.load()
        if not stream.was_needed:
            raise OSError("The picture ends before its codes.")
        return features.measure(picture)


class _ToTheEnd(BytesIO):
    """A JPEG of one scan whose last code is read only by who has used up all others.

    It has no end marker, at which decoders make up what is missing, but a few zeros, for they read ahead.
    """

    def __init__(self, clean: bytes) -> None:
        codes = clean.removesuffix(END)
        super().__init__(codes + bytes(_AHEAD))
        self._last = len(codes) - 1

    def read(self, size: int | None = -1) -> bytes:
        """As of any file, but stopping once before the last code."""
        before = self._last - self.tell()
        return super().read(size if before <= 0 or size is None else min(size, before))

    @property
    def was_needed(self) -> bool:
        """Whether the last code has been read."""
        return self.tell() > self._last

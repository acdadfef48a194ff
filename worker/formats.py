"""Which decoder may see which bytes.

Decoders are opened by class, not by Image.open: no other of Pillow's forty can then be reached, and the JPEG
class takes the first picture of a multi-picture file (MPO, as phones write) as the JPEG it is.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from core.errors import ImageUndecodable
from core.media import ImageKind, recognise
from worker.jpeg_decoder import JpegFile

DECODERS: dict[str, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "AVIF": AvifImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "JPEG": JpegFile,
    "PNG": PngImageFile,
    "TIFF": TiffImageFile,
    "WEBP": WebPImageFile,
}
FORMATS = frozenset(DECODERS)


def format_of(content: bytes, accepted: frozenset[str]) -> str:
    """The format, by content alone. Raises ImageUndecodable, saying what it is instead, if not accepted."""
    looks = recognise(content)
    if isinstance(looks, ImageKind):
        if looks.pillow in accepted and looks.pillow in FORMATS:
            return looks.pillow
        looks = f"a {looks.pillow} image, which is not accepted here"
    raise ImageUndecodable(
        f"This is {looks}, not an image that can be used: save it as JPEG or PNG and send that."
    )


def webp_canvas(content: bytes) -> tuple[int, int]:
    """Width and height from the first chunk (RFC 9649): the decoder allocates them as soon as it opens."""
    kind, at = content[12:16], content[20:30]
    if kind == b"VP8X":
        return int.from_bytes(at[4:7], "little") + 1, int.from_bytes(at[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(at[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(at[6:8], "little") & 0x3FFF, int.from_bytes(at[8:10], "little") & 0x3FFF

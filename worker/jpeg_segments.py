"""What of a JPEG file is the picture: found without decoding it, and without all that it does not need.

Strict on purpose: a file that is at all unusual is left to be decoded and encoded again, and so are those of
several scans (progressive) or with restarts, of which nobody can tell by decoding whether their codes are
sound. Sections are those of ITU-T T.81.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

START, END = b"\xff\xd8", b"\xff\xd9"
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"  # version 1.01, square pixels, no thumbnail
_FRAME, _SCAN = 0xC0, 0xDA  # a baseline picture; its codes
_TABLES = frozenset({0xC4, 0xDB})
_MOST_TABLES = 4_096  # bytes; libjpeg's own are 564, and all that can be there at once are 2,600
_DROPPED = frozenset({*range(0xE0, 0xF0), 0xFE})
"""What applications wrote (EXIF, XMP, ICC, MPF, Photoshop's, thumbnails), and comments."""
_ADOBE = 0xEE
_YCBCR = b"\1"
_SAMPLINGS = frozenset({b"\x11", b"\x21", b"\x12", b"\x22"})
"""Of brightness, for one of each colour."""
_CODES = re.compile(rb"[^\xff]*+(?:\xff\0[^\xff]*+)*+")  # B.1.1.5, without restarts


class _Unusual(ValueError):
    """It is not a file of the plain kind that is passed on."""


def cleaned(content: bytes) -> bytes | None:
    """The very same picture, in grey or YCbCr, with nothing beside it; None where the file is unusual.

    Kept are the tables, the size and the only scan of the first picture. Whether these can be decoded is not
    asked here.
    """
    try:
        return b"".join((START, _JFIF, *_kept(content), END))
    except _Unusual:
        return None


def _kept(content: bytes) -> Iterator[bytes]:
    at, marker, frames, tables = len(START), 0, 0, 0
    while marker != _SCAN:
        segment = _segment(content, at)
        at, marker = at + len(segment), segment[1]
        if marker in _DROPPED:
            _demand(marker != _ADOBE or _is_ycbcr(segment))
            continue
        _demand(marker in _TABLES or marker == _SCAN or (marker == _FRAME and _is_plain(segment)))
        frames += marker == _FRAME
        tables += len(segment) if marker in _TABLES else 0
        yield segment
    codes = _CODES.match(content, at)
    _demand(frames == 1 and tables <= _MOST_TABLES)
    if codes is None or not content.startswith(END, codes.end()):
        raise _Unusual
    yield codes.group()


def _segment(content: bytes, at: int) -> bytes:
    """The segment that begins there, with its marker (B.1.1.4)."""
    end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
    _demand(content.startswith(b"\xff", at) and at + 4 <= end <= len(content))
    return content[at:end]


def _is_ycbcr(adobe: bytes) -> bool:
    """Whether Adobe's segment says so; without it, three parts are YCbCr (ITU-T T.872)."""
    return adobe[4:9] != b"Adobe" or adobe[15:16] == _YCBCR


def _is_plain(frame: bytes) -> bool:
    """Whether a frame header (B.2.2) is of 8 bits, in grey or YCbCr, with a usual subsampling."""
    precision, parts = frame[4:5], frame[10:]
    return (
        (precision, frame[9:10]) == (b"\x08", bytes([len(parts) // 3]))
        and parts[::3] in {b"\1", b"\1\2\3"}
        and parts[1:2] in _SAMPLINGS
        and parts[4::3] in {b"", b"\x11\x11"}
    )


def _demand(usual: bool) -> None:
    if not usual:
        raise _Unusual

"""What of a JPEG file is the picture: found without decoding it, and without all that it does not need.

Strict on purpose: a file that is at all unusual is left to be decoded and encoded again. Sections are
those of ITU-T T.81.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"  # version 1.01, square pixels, no thumbnail
_START, _END = b"\xff\xd8", b"\xff\xd9"
_BASELINE, _PROGRESSIVE = 0xC0, 0xC2
_SCAN = 0xDA
_INTERVAL = 0xDD
_KEPT = frozenset({0xC4, 0xDB, _INTERVAL, _BASELINE, _PROGRESSIVE, _SCAN})
"""Codes, quantisers, how often the scan restarts, the size, and the scans."""
_DROPPED = frozenset({*range(0xE0, 0xF0), 0xFE})
"""What applications wrote (EXIF, XMP, ICC, MPF, Photoshop's, thumbnails), and comments."""
_ADOBE = 0xEE
_YCBCR = 1
MOST_SCANS = 20
"""libjpeg makes ten of a progressive picture; each costs its decoders a pass over the whole of it."""
_SAMPLINGS = {b"\x11", b"\x11\x11\x11", b"\x21\x11\x11", b"\x12\x11\x11", b"\x22\x11\x11"}

_ENTROPY_CODED = re.compile(rb"[^\xff]*+(?:\xff[\0\xd0-\xd7][^\xff]*+)*+")  # B.1.1.5
_RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")


class _Unusual(ValueError):
    """It is not a file of the plain kind that is passed on."""


def cleaned(content: bytes) -> bytes | None:
    """The very same picture, in grey or YCbCr, with nothing beside it; None where the file is unusual.

    Kept are the tables, the size and the scans of the first picture. Whether these can be decoded is not
    asked here.
    """
    try:
        return b"".join((_START, _JFIF, *_kept(content), _END))
    except _Unusual:
        return None


def _kept(content: bytes) -> Iterator[bytes]:
    frame, scans, restarts = b"", 0, False
    for marker, segment, scan in _segments(content):
        if marker == _ADOBE:
            _demand(segment[4:9] != b"Adobe" or segment[15:16] in {b"", bytes([_YCBCR])})
        if marker in _DROPPED:
            continue
        _demand(marker in _KEPT)
        if marker in {_BASELINE, _PROGRESSIVE}:
            _demand(not frame and _is_plain(segment))
            frame = segment
        restarts = restarts or marker == _INTERVAL
        if marker == _SCAN:
            scans += 1
            _demand(bool(frame) and scans <= (MOST_SCANS if frame[1] == _PROGRESSIVE else 1))
            _demand(_restarts_in_turn(scan, restarts))
        yield segment + scan
    _demand(scans > 0)


def _segments(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each marker up to the end of the picture, with its segment and, of a scan, its entropy-coded data."""
    at = len(_START)
    while content[at : at + 2] != _END:
        length = int.from_bytes(content[at + 2 : at + 4])
        end = at + 2 + length
        _demand(content[at : at + 1] == b"\xff" and length >= 2 and end <= len(content))
        marker = content[at + 1]
        found = _ENTROPY_CODED.match(content, end) if marker == _SCAN else None
        scan = found.group() if found else b""
        yield marker, content[at:end], scan
        at = end + len(scan)


def _is_plain(frame: bytes) -> bool:
    """Whether a frame header (B.2.2) is of 8 bits, in grey or YCbCr, with a usual subsampling."""
    parts = frame[10:]
    return (
        frame[4] == 8
        and len(parts) == 3 * frame[9]
        and parts[::3] in {b"\1", b"\1\2\3"}
        and parts[1::3] in _SAMPLINGS
    )


def _restarts_in_turn(scan: bytes, expected: bool) -> bool:
    """Whether the restart markers of a scan count from 0 to 7 over and over, if there may be any."""
    found = b"".join(_RESTARTS.findall(scan))
    in_turn = bytes(range(0xD0, 0xD8)) * (len(found) // 8 + 1)
    return in_turn.startswith(found) if expected else not found


def _demand(usual: bool) -> None:
    if not usual:
        raise _Unusual

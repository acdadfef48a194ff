"""Stored bytes as they go out: whole or a range of them, never whole in memory."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from core.models import File

BINARY = {"type": "string", "format": "binary"}
"""Bytes, as the document of the API says it."""
Reader = Callable[[int, int], Iterator[bytes]]
"""The bytes from one place to before another."""
ATTR_CHAR = "!#$&+-.^_`|~"
"""What RFC 8187 lets stand unquoted beside letters and digits."""


def download(file: File, read: Reader) -> Response:
    """Answer with the bytes of a file: 200, 206 for a range, 304 where the client has them already.

    Raises RequestedRangeNotSatisfiable (416).
    """
    if request.if_none_match.contains_weak(file.digest):
        response = Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        response = _bytes(file, read)
    response.set_etag(file.digest)
    response.headers["Cache-Control"] = "private, no-cache"  # ask again: it may have been deleted
    return response


def _bytes(file: File, read: Reader) -> Response:
    found = _range(file)
    start, end = found or (0, file.byte_size)
    response = Response(read(start, end), mimetype=file.media_type)
    if found is not None:
        response.status_code = HTTPStatus.PARTIAL_CONTENT
        response.content_range.set(start, end, file.byte_size)
    response.content_length = end - start
    response.accept_ranges = "bytes"
    response.headers["Content-Disposition"] = disposition(file.name)
    return response


def _range(file: File) -> tuple[int, int] | None:
    """The range that is asked for, its end exclusive; None for all.

    Whatever is not one range of bytes is left aside, as RFC 9110 section 14.2 allows. Werkzeug's own choice
    of a range refuses those, and suffixes longer than the file.
    """
    asked, size = request.range, file.byte_size
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1 or not _still_holds(file):
        return None
    start, end = asked.ranges[0]
    start = max(0, size + start) if start < 0 else start
    if start >= size:
        raise RequestedRangeNotSatisfiable(size)
    return start, size if end is None else min(end, size)


def _still_holds(file: File) -> bool:
    """Whether a range may continue what the client has (`If-Range`)."""
    return "If-Range" not in request.headers or request.if_range.etag == file.digest


def disposition(name: str) -> str:
    """Content-Disposition for saving under this name: in UTF-8, and in ASCII for who knows no better."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(character for character in plain if character not in '"\\%')
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=ATTR_CHAR)}"

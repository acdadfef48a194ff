"""Bytes by their SHA-256, in a folder or in S3.

The store is opened on first use, because obstore does not survive a fork. S3 credentials and endpoint come
from the AWS_* variables that obstore reads itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from core.errors import NotFound, Unavailable

PROBE = "probe"
PART = 5 * 2**20
"""Bytes of a large blob that go into the store at a time: the least that S3 takes. One part at a time, since
many uploads may come at once: obstore's own twelve hold 60 MB of each in memory."""
WRITERS = 4
"""Blobs of one submission that are written at once: a disk makes several durable in one go, and a bucket is
far away. 400 photos of 50 kB went to a disk in 1.24 ms each by one writer, 0.74 by four, 0.69 by eight."""
PIECE = 2**20
"""Bytes of a blob that are in memory at once while it is read in pieces."""
RETRY_AFTER = 5.0

log = structlog.get_logger(__name__)


class Blobs:
    """Puts, gets and removes bytes; a digest is 64 hexadecimal digits. Raises Unavailable without a store."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._folder = Path(unquote(parts.netloc + parts.path)) if parts.scheme == "file" else None

    @cached_property
    def _store(self) -> ObjectStore:
        return LocalStore(self._folder, mkdir=True) if self._folder else from_url(self._url)

    def put(self, digest: str, content: BinaryIO) -> None:
        """Store the bytes under their digest unless they are there; on disk for good when this returns."""
        with _translated():
            if self._has(digest):
                return
            self._store.put(_path(digest), content, chunk_size=PART, max_concurrency=1)
            self._sync(digest)

    def put_all(self, contents: Mapping[str, BinaryIO]) -> None:
        """Store the bytes under each digest as `put` does, from their beginning, a few at a time."""
        for content in contents.values():
            content.seek(0)
        if len(contents) == 1:  # needs no helpers
            [(digest, content)] = contents.items()
            self.put(digest, content)
            return
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(self.put, contents.keys(), contents.values()):
                """Raises what went wrong; what has not begun then is left."""

    def get(self, digest: str) -> bytes:
        """The bytes. Raises NotFound where they are gone."""
        with _translated(), _found(digest):
            return bytes(self._store.get(_path(digest)).bytes())

    def pieces(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end` with flat memory. Raises NotFound where they are gone.

        Each piece is a request of its own: a store's answer has a deadline, and whoever reads the pieces may
        be slow. The first is read before this returns, so that what is wrong shows before anything is sent.
        """
        pieces = (self._range(digest, at, min(at + PIECE, end)) for at in range(start, end, PIECE))
        return chain((next(pieces, b""),), pieces)

    def delete(self, digest: str) -> None:
        """Remove the bytes; nothing happens where they are gone already."""
        with _translated():
            try:
                self._store.delete(_path(digest))
            except FileNotFoundError:
                log.info("blob_already_gone", digest=digest)

    def ping(self) -> None:
        """Raises Unavailable unless the store answers."""
        with _translated():
            self._has(PROBE)

    def _range(self, digest: str, start: int, end: int) -> bytes:
        with _translated(), _found(digest):
            return bytes(self._store.get_range(_path(digest), start=start, end=end))

    def _has(self, digest: str) -> bool:
        try:
            self._store.head(_path(digest))
        except FileNotFoundError:
            return False
        return True

    def _sync(self, digest: str) -> None:
        """Make a file of the folder survive a power cut: its bytes, and its name in the folder."""
        if self._folder is None:
            return
        path = self._folder / _path(digest)
        for entry in (path, path.parent, path.parent.parent, self._folder):
            handle = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _path(digest: str) -> str:
    """Two levels of folders, so that none grows past what file systems like."""
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


@contextmanager
def _found(digest: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"The bytes {digest[:12]}… are no longer in the blob store.") from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        log.warning("blob_store_unavailable", error=str(error).split("\n", 1)[0])
        raise Unavailable(
            "The blob store does not take or give bytes just now: try again shortly.", retry_after=RETRY_AFTER
        ) from error

"""Bytes by their SHA-256, in a folder or in S3.

The store is opened on first use, because obstore does not survive a fork. S3 credentials and endpoint come
from the AWS_* variables that obstore reads itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from core.errors import NotFound, Unavailable

PROBE = "probe"
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
            self._store.put(_path(digest), content)
            self._sync(digest)

    def get(self, digest: str) -> bytes:
        """The bytes. Raises NotFound where they are gone."""
        with _translated():
            try:
                return bytes(self._store.get(_path(digest)).bytes())
            except FileNotFoundError as error:
                raise NotFound(f"The bytes {digest[:12]}… are no longer in the blob store.") from error

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
        for entry in (path, path.parent):
            handle = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _path(digest: str) -> str:
    """Two levels of folders, so that none grows past what file systems like."""
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        log.warning("blob_store_unavailable", error=str(error).split("\n", 1)[0])
        raise Unavailable(
            "The blob store does not take or give bytes just now: try again shortly.", retry_after=RETRY_AFTER
        ) from error

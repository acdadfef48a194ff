"""Bodies as they come in.

Parts of a multipart body go through a hash into a temporary file, never whole into memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, cast

from flask import Request, current_app
from werkzeug.datastructures import FileStorage

from core.errors import FileTooLarge, Unavailable
from core.services.files import Upload

IN_MEMORY = 256 * 1024
"""Bytes of a part that stay in memory; the rest goes to disk."""
RETRY_AFTER = 5.0


class Spool(SpooledTemporaryFile[bytes]):
    """Counts and hashes what is written. Raises FileTooLarge as soon as there is too much of it.

    Raises Unavailable where the disk is full.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(max_size=IN_MEMORY)
        self._limit = limit
        self._hash = hashlib.sha256()
        self.byte_size = 0

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self.byte_size += len(data)
        if self.byte_size > self._limit:
            raise FileTooLarge(
                f"A file may have at most {self._limit:,} bytes.", details={"limit": self._limit}
            )
        self._hash.update(data)
        with _room():
            return super().write(data)

    def seek(self, *args: Any) -> int:
        """Go to a place; what is still buffered is written first."""
        with _room():
            return super().seek(*args)

    def upload(self, name: str) -> Upload:
        """What was written, for the services."""
        content = cast("BinaryIO", self)
        return Upload(content=content, byte_size=self.byte_size, digest=self._hash.hexdigest(), name=name)


class StreamedRequest(Request):
    """A request whose files are spooled."""

    largest_file: int | None = None
    """Bytes that one file of it may have; None bounds files as images are bounded."""

    def _get_file_stream(self, *_args: Any, **_kwargs: Any) -> IO[bytes]:
        return cast("IO[bytes]", Spool(self.largest_file or file_limit()))


def received(file: FileStorage) -> Upload:
    """The upload behind a part of a multipart body."""
    return cast("Spool", file.stream).upload(file.filename or "")


def spooled(content: bytes, name: str) -> Upload:
    """An upload from bytes that came inside a JSON body. Raises FileTooLarge."""
    spool = Spool(file_limit())
    spool.write(content)
    return spool.upload(name)


def file_limit() -> int:
    """Bytes that one file may have."""
    limit: int = current_app.config["DESK"].settings.max_file_size
    return limit


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("There is no room for this upload just now.", retry_after=RETRY_AFTER) from error

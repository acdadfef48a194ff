"""Files on their way to the server: read piece by piece as they are sent, never whole into memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence

from urllib3.fields import RequestField

from cli.failure import Failure
from cli.interrupt import Interrupt
from cli.local_file import LocalFile

PIECE = 64 * 1024


class Upload:
    """A multipart/form-data body of fields and files (RFC 7578); may be sent again from its beginning.

    A field with several values is there several times.
    """

    def __init__(
        self,
        fields: Mapping[str, str | Sequence[str]],
        files: Sequence[LocalFile],
        interrupt: Interrupt,
        *,
        name: str = "file",
    ) -> None:
        self._interrupt = interrupt
        self._files = files
        self._border = secrets.token_hex(16)
        self._fields = b"".join(
            self._head(each) + _bytes(value) + b"\r\n"
            for each, values in fields.items()
            for value in ([values] if isinstance(values, str) else values)
        )
        self._heads = [self._head(name, file.name) for file in files]
        self._end = f"--{self._border}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The header that belongs to it."""
        return f"multipart/form-data; boundary={self._border}"

    def __len__(self) -> int:
        sizes = (len(head) + file.byte_size + 2 for head, file in zip(self._heads, self._files, strict=True))
        return len(self._fields) + sum(sizes) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        yield self._fields
        for head, file in zip(self._heads, self._files, strict=True):
            yield head
            yield from self._pieces(file)
            yield b"\r\n"
        yield self._end

    def _pieces(self, file: LocalFile) -> Iterator[bytes]:
        left = file.byte_size
        with file.open() as content:
            while left:
                if self._interrupt.asked:
                    raise StoppedSending
                piece = content.read(min(PIECE, left))
                if not piece:
                    raise Failure(f"{file.path} became shorter while it was sent.")
                left -= len(piece)
                yield piece

    def _head(self, name: str, file_name: str | None = None) -> bytes:
        part = RequestField(name, b"", filename=None if file_name is None else _text(file_name))
        part.make_multipart(content_type=None if file_name is None else "application/octet-stream")
        return f"--{self._border}\r\n{part.render_headers()}".encode()


class StoppedSending(Exception):
    """Ctrl-C came while the body was on its way, so the server has not got all of it."""


def _text(text: str) -> str:
    """Text that UTF-8 can hold: a file name may have bytes that are none."""
    return text.encode("utf-8", "replace").decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")

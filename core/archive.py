"""ZIP archives from strangers: what is in them, with nothing taken on trust.

The standard library reads the format. What it does not look for is looked for here: bytes that several
members share (https://www.bamsoftware.com/hacks/zipbomb/), sizes that lie, paths that lead elsewhere, and
directories that are too large to be held. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

from __future__ import annotations

import errno
import re
import stat
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.errors import InvalidRequest

MOST_ENTRIES = 150_000
"""For 50,000 photos: macOS puts a shadow beside each file, and folders count too."""
LARGEST_DIRECTORY = 32 * 2**20
"""Bytes; it is read at once."""
MOST_RATIO = 100
"""Unpacked to packed: photos come to about 1, drawings without compression of their own to some 20."""
PIECE = 2**20
"""Bytes of a member that are in memory at once while it is checked."""

ENTRY = b"PK\1\2"
LOCAL_HEADER = struct.Struct("<26xHH")
"""Ends with the lengths of the name and of the extra field that stand between it and the bytes."""
ENCRYPTED, IN_UTF8 = 0x1, 0x800
METHODS = {ZIP_STORED, ZIP_DEFLATED}
"""bzip2 and LZMA unpack a few kilobytes to any size in one go."""
ORDINARY = {0, stat.S_IFREG}
"""0 where the archive was made by a system without such modes."""
DRIVE = re.compile(r"[A-Za-z]:")
LEFT_BY_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini"}
SHARED = "It shares bytes with another member, or lies outside of the archive."
BROKEN = (BadZipFile, EOFError, RuntimeError, ValueError, OverflowError, struct.error, zlib.error)
"""What the standard library says to archives that are none."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive."""

    name: str
    """Its path: normalised, with slashes; of a path that leads elsewhere, only to be shown."""
    info: ZipInfo
    flaw: str | None
    """Why it must not be read, as a sentence."""

    @property
    def byte_size(self) -> int:
        """Bytes that it says it unpacks to."""
        return self.info.file_size


class Archive:
    """Reads an archive out of a seekable file. Raises InvalidRequest for what is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            self._zip = ZipFile(_Guarded(file))
        except BROKEN as error:
            raise InvalidRequest(f"The ZIP archive is broken or cut off: {_reason(error)}.") from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # which is said of a place before the beginning
                raise
            raise InvalidRequest("The ZIP archive is broken or cut off.") from error

    @cached_property
    def members(self) -> list[Member]:
        """What is in it by name, without folders, hidden files and what operating systems leave behind."""
        entries = self._zip.infolist()
        shared = self._sharing(entries)
        found = (_member(info, shared) for info in entries if not info.orig_filename.endswith("/"))
        return sorted((member for member in found if member is not None), key=lambda member: member.name)

    def pieces(self, member: Member) -> Iterator[bytes]:
        """The bytes of a member, no more than it declares. Raises InvalidRequest for a flaw, or a lie."""
        if member.flaw:
            raise InvalidRequest(member.flaw)
        # Opened as one that may be larger, so that a false size shows and the checksum is of all there is.
        larger = copy(member.info)
        larger.file_size += PIECE
        count = 0
        try:
            with self._zip.open(larger) as stream:
                while piece := stream.read(PIECE):
                    count += len(piece)
                    if count > member.byte_size:
                        raise InvalidRequest(
                            f"It unpacks to more than the {member.byte_size:,} bytes it declares."
                        )
                    yield piece
        except BROKEN as error:
            raise InvalidRequest(f"It cannot be unpacked: {_reason(error)}.") from error
        if count < member.byte_size:
            raise InvalidRequest(f"It unpacks to {count:,} of the {member.byte_size:,} bytes it declares.")

    def content(self, member: Member) -> Content:
        """The bytes of a member that `pieces` found sound, as a file."""
        return Content(self._zip, member.info)

    def _sharing(self, entries: list[ZipInfo]) -> set[int]:
        """Where members begin whose bytes also belong to another member or to the directory."""
        shared, reach, owner = set(), 0, -1
        for info in sorted(entries, key=lambda info: info.header_offset):
            start, end = info.header_offset, self._end(info)
            if start < reach:
                shared |= {start, owner}
            if end > self._zip.start_dir:
                shared.add(start)
            if end > reach:
                reach, owner = end, start
        return shared

    def _end(self, info: ZipInfo) -> int:
        """Where the bytes of a member end, by its own header: what the directory says of that may differ."""
        last = self._zip.start_dir - LOCAL_HEADER.size
        if not 0 <= info.header_offset <= last:
            return self._zip.start_dir + 1
        self._file.seek(info.header_offset)
        name, extra = LOCAL_HEADER.unpack(self._file.read(LOCAL_HEADER.size))
        return info.header_offset + LOCAL_HEADER.size + int(name + extra) + info.compress_size


class Content:
    """The bytes of a member as a file; each read unpacks them anew, so that none of them stay in memory."""

    def __init__(self, archive: ZipFile, info: ZipInfo) -> None:
        self._zip, self._info, self._at = archive, info, 0

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes from where it stands, or all."""
        if self._at >= self._info.file_size:
            return b""
        with self._zip.open(self._info) as stream:
            stream.seek(self._at)
            content = stream.read(size)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        self._at = (0, self._at, self._info.file_size)[whence] + offset
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at


class _Guarded:
    """A file as `ZipFile` reads it, which would take in a directory of any size, and does so at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Raises InvalidRequest where that would be a directory that is too large."""
        content = self._file.read(size) if size <= LARGEST_DIRECTORY else None
        if content is None or content.count(ENTRY) > MOST_ENTRIES:
            raise InvalidRequest(
                f"The ZIP archive lists more than {MOST_ENTRIES:,} entries.", details={"limit": MOST_ENTRIES}
            )
        return content


def _member(info: ZipInfo, shared: set[int]) -> Member | None:
    """The member behind an entry; None for one that is passed over. `shared` is where such bytes begin."""
    name = _name(info)
    if flaw := _flaw_of_path(name):
        return Member(name, info, flaw)
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if any(part.startswith(".") or part.lower() in LEFT_BY_SYSTEMS for part in parts):
        return None
    flaw = SHARED if info.header_offset in shared else _flaw(info)
    return Member("/".join(parts), info, flaw)


def _name(info: ZipInfo) -> str:
    """The path of a member. Some tools write UTF-8 without saying so; else it is code page 437 by default."""
    name = info.orig_filename
    if not info.flag_bits & IN_UTF8:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = info.orig_filename
    return unicodedata.normalize("NFC", name)


def _flaw_of_path(name: str) -> str | None:
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "Its path has control characters."
    if "\\" in name:
        return "Its path has backslashes: write it with slashes."
    if name.startswith("/") or DRIVE.match(name):
        return "Its path is absolute: paths in an archive are relative."
    if ".." in name.split("/"):
        return "Its path leads out of its folder with '..'."
    return None


def _flaw(info: ZipInfo) -> str | None:
    """What the directory tells of a member that cannot be taken."""
    if stat.S_IFMT(info.external_attr >> 16) not in ORDINARY:
        return "It is a link or another special file, not an ordinary one."
    if info.flag_bits & ENCRYPTED:
        return "It is encrypted."
    if info.compress_type not in METHODS:
        return f"It is compressed by method {info.compress_type}: only stored and deflated members are taken."
    if info.file_size > MOST_RATIO * info.compress_size:
        return f"It unpacks to more than {MOST_RATIO} times its size."
    return None


def _reason(error: Exception) -> str:
    """The library's own words, which may quote names of any length."""
    return str(error)[:200].rstrip(".") or "it is cut off"

"""Uploads: bytes into the blob store, names into the database."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import BinaryIO

from core.desk import Desk
from core.errors import InvalidImage, UnsupportedMediaType
from core.ids import new_id
from core.media import HEAD, ImageKind, allowed_kinds, recognise
from core.models import File
from core.store import files

WITH_ANALYSIS = "analysis"
"""The purpose of a file that came with an analysis: it goes when the last analysis of it goes."""
NAME_LENGTH = 255
ABANDONED_AFTER = timedelta(hours=1)
"""Longer than any upload takes from its first touch to its last commit."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Received bytes: read from the start as often as needed."""

    content: BinaryIO
    byte_size: int
    digest: str
    """SHA-256 in hexadecimal, taken while the bytes came in."""
    name: str


def check_images(desk: Desk, uploads: Sequence[Upload]) -> list[ImageKind]:
    """What the uploads claim to be. Raises InvalidImage or UnsupportedMediaType; nothing is stored yet."""
    return [_image_kind(desk, upload, position) for position, upload in enumerate(uploads)]


def keep_bytes(desk: Desk, uploads: Sequence[Upload]) -> None:
    """Put the bytes into the blob store. Until a file names them they are only kept for a while."""
    with desk.database.transaction() as session:
        for upload in sorted(uploads, key=lambda upload: upload.digest):  # one order of locks for everyone
            files.touch_blob(session, upload.digest, upload.byte_size)
    for upload in uploads:
        upload.content.seek(0)
        desk.blobs.put(upload.digest, upload.content)


def named(upload: Upload, *, account_id: str, media_type: str, purpose: str) -> File:
    """The row that gives the account a name for the bytes of an upload."""
    return File(
        id=new_id("file"),
        account_id=account_id,
        digest=upload.digest,
        byte_size=upload.byte_size,
        media_type=media_type,
        name=safe_name(upload.name),
        purpose=purpose,
    )


def collect_abandoned(desk: Desk, limit: int = 100) -> int:
    """Remove bytes that nothing names any more; how many.

    The row is held while the bytes go: an upload of the same bytes waits for it in `keep_bytes`, then finds
    them gone and stores them again.
    """
    with desk.database.transaction() as session:
        digests = files.abandoned_blobs(session, ABANDONED_AFTER, limit)
    removed = 0
    for digest in digests:
        with desk.database.transaction() as session:
            if files.remove_blob(session, digest, ABANDONED_AFTER):
                desk.blobs.delete(digest)
                removed += 1
    return removed


def safe_name(name: str) -> str:
    """A file name for showing: the last part of any path, normalised, without what cannot be seen."""
    last = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/").replace("\0", "")).name
    visible = "".join(character for character in last if character.isprintable()).strip()
    return visible[-NAME_LENGTH:] if visible.strip(".") else "unnamed"


def _image_kind(desk: Desk, upload: Upload, position: int) -> ImageKind:
    allowed = desk.settings.allowed_extensions
    name, taken = safe_name(upload.name), ", ".join(sorted(allowed))
    details = {"position": position, "file_name": name, "allowed": sorted(allowed)}
    extension = PurePosixPath(name).suffix.lower().lstrip(".")
    if not upload.byte_size:
        raise InvalidImage(f"The file {name!r} is empty.", details=details)
    if extension and extension not in allowed:
        raise UnsupportedMediaType(
            f"Files named .{extension} are not taken; these are: {taken}.", details=details
        )
    upload.content.seek(0)
    looks = recognise(upload.content.read(HEAD))
    if isinstance(looks, ImageKind) and looks in allowed_kinds(allowed):
        return looks
    what = f"a {looks.pillow} image" if isinstance(looks, ImageKind) else looks
    raise InvalidImage(f"The file {name!r} is {what}; images that are taken are: {taken}.", details=details)

"""Files: bytes into the blob store, names into the database, and both out again."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from sqlalchemy import func

from core.desk import Desk
from core.errors import (
    Conflict,
    FileTooLarge,
    InvalidImage,
    InvalidRequest,
    NotFound,
    UnsupportedMediaType,
    VitrineError,
)
from core.ids import new_id
from core.media import (
    CSV,
    HEAD,
    OCTETS,
    TEXT,
    TEXT_HEAD,
    ImageKind,
    allowed_kinds,
    batch_input_type,
    recognise,
)
from core.models import File
from core.models.file import Purpose
from core.services import idempotency
from core.services.idempotency import Once
from core.store import files

WITH_ANALYSIS = Purpose.ANALYSIS
UPLOADED = (Purpose.VISION, Purpose.BATCH)
"""What a file may be uploaded for by itself."""
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


def unusable(file_id: str, purpose: str | None, details: Mapping[str, Any]) -> VitrineError:
    """Why nobody can look at a file: the account has none of this id, or has it for another purpose."""
    if purpose is None:
        return NotFound(f"There is no file {file_id!r}.", details=details)
    return InvalidImage(
        f"The file {file_id!r} has the purpose {purpose!r}, which is not for images: upload it as 'vision'.",
        details=details,
    )


def keep_bytes(desk: Desk, uploads: Sequence[Upload]) -> None:
    """Put the bytes into the blob store. Until a file names them they are only kept for a while."""
    kept = desk.kept_bytes
    distinct = {upload.digest: upload for upload in uploads if not kept.get(upload.digest)}
    if not distinct:
        return
    with desk.database.driver() as driver:
        files.touch_blobs(driver, {digest: upload.byte_size for digest, upload in distinct.items()})
    desk.blobs.put_all({digest: upload.content for digest, upload in distinct.items()})
    for digest in distinct:
        kept.keep(digest, True)


def named(
    upload: Upload, *, account_id: str, media_type: str, purpose: str, lifetime: timedelta | None = None
) -> File:
    """The row that gives the account a name for the bytes of an upload; for good without a lifetime."""
    return File(
        id=new_id("file"),
        account_id=account_id,
        digest=upload.digest,
        byte_size=upload.byte_size,
        media_type=media_type,
        name=safe_name(upload.name),
        purpose=purpose,
        expires_at=None if lifetime is None else func.now() + lifetime,
    )


def keep(
    desk: Desk,
    account_id: str,
    upload: Upload,
    *,
    purpose: Purpose,
    lifetime: timedelta | None,
    once: Once | None = None,
) -> File:
    """Keep an upload as a file of the account: bytes and name are durable when this returns.

    What `once` has made before is given instead. Raises InvalidRequest, InvalidImage, UnsupportedMediaType,
    FileTooLarge, Conflict, IdempotencyMismatch or Unavailable; nothing is stored then.
    """
    media_type = _media_type(desk, upload, purpose)
    keep_bytes(desk, [upload])
    file = named(upload, account_id=account_id, media_type=media_type, purpose=purpose, lifetime=lifetime)
    with desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, file.id):
            return files.get(session, account_id, earlier)
        files.add(session, [file])
        return files.get(session, account_id, file.id)


def get(desk: Desk, account_id: str, file_id: str) -> File:
    """One file. Raises NotFound."""
    with desk.database.transaction() as session:
        return files.get(session, account_id, file_id)


def page(
    desk: Desk,
    account_id: str,
    *,
    behind: str | None,
    limit: int,
    filters: Mapping[str, Any],
    oldest: bool = False,
) -> tuple[list[File], bool]:
    """A page of the account's files behind an id, the newest (or oldest) first; whether there are more."""
    with desk.database.transaction() as session:
        return files.page(session, account_id, behind=behind, limit=limit, filters=filters, oldest=oldest)


def pieces(desk: Desk, file: File, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from `start` to before `end`, with flat memory. Raises NotFound, Unavailable."""
    return desk.blobs.pieces(file.digest, start, end)


def delete(desk: Desk, account_id: str, file_id: str) -> None:
    """Delete a file that no analysis uses; its bytes follow when no other file has them.

    One that an analysis uses is refused, rather than hidden and kept: an answer is shown with the image it is
    about, a failed item of a batch may be tried again, and whoever deletes bytes wants them gone. Deleting
    the analyses, or the batch they belong to, sets the file free. Raises NotFound, Conflict.
    """
    with desk.database.transaction() as session:
        file = files.get(session, account_id, file_id, lock=True)
        users = files.users(session, file_id)
        if users.analyses:
            details = {
                "analyses": users.analyses,
                "unfinished": users.unfinished,
                "analysis_id": users.analysis_id,
                "batches": users.batches,
                "batch_id": users.batch_id,
            }
            raise Conflict(_needed_by(users), details=details)
        files.remove(session, file)


def expire(desk: Desk, limit: int = 1_000) -> int:
    """Remove files whose time is up, at most `limit` at once; how many.

    One that analyses still use stays, out of sight, until the last of them is deleted.
    """
    with desk.database.transaction() as session:
        return files.remove_expired(session, limit, desk.settings.file_retention)


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
    extension = _extension(name)
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


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower().lstrip(".")


def _media_type(desk: Desk, upload: Upload, purpose: Purpose) -> str:
    """What the bytes are. Raises InvalidRequest and its kin where they do not fit the purpose."""
    if purpose == Purpose.BATCH:
        return _batch_input(upload)
    return _image(desk, upload) if purpose == Purpose.VISION else _anything(upload)


def _anything(upload: Upload) -> str:
    """The media type of a file that is kept as it is."""
    head, input_type = _begin(upload)
    looks = recognise(head[:HEAD])
    if isinstance(looks, ImageKind):
        return looks.media_type
    if input_type == CSV and _extension(safe_name(upload.name)) != "csv":  # any text looks like one
        return TEXT
    return input_type or OCTETS


def _image(desk: Desk, upload: Upload) -> str:
    """The media type of an image that is uploaded by itself."""
    name, limit, (_, input_type) = safe_name(upload.name), desk.settings.max_file_size, _begin(upload)
    if input_type and _extension(name) not in desk.settings.allowed_extensions:
        raise InvalidRequest(
            f"The file {name!r} is no image. If it is the input of a batch, send it with purpose 'batch'.",
            details={"field": "purpose"},
        )
    if upload.byte_size > limit:
        raise FileTooLarge(f"An image may have at most {limit:,} bytes.", details={"limit": limit})
    [kind] = check_images(desk, [upload])
    return kind.media_type


def _batch_input(upload: Upload) -> str:
    """The media type of what a batch is made from."""
    name, (head, input_type) = safe_name(upload.name), _begin(upload)
    if input_type:
        return input_type
    looks = recognise(head)
    if isinstance(looks, ImageKind):
        raise InvalidRequest(
            f"The file {name!r} is a {looks.pillow} image: send it with purpose 'vision'.",
            details={"field": "purpose"},
        )
    raise InvalidRequest(
        f"The file {name!r} is {looks}. A batch is made from JSONL, which has one object per line, or CSV,"
        " both as text in UTF-8, or from a ZIP archive.",
        details={"field": "file"},
    )


def _begin(upload: Upload) -> tuple[bytes, str | None]:
    """How an upload begins, and what input of a batch that looks like. Raises InvalidRequest if empty."""
    if not upload.byte_size:
        raise InvalidRequest(f"The file {safe_name(upload.name)!r} is empty.", details={"field": "file"})
    upload.content.seek(0)
    head = upload.content.read(TEXT_HEAD)
    return head, batch_input_type(head)


def _needed_by(users: files.Users) -> str:
    """Why a file cannot be deleted, and what to do; items of a batch go with it and not by themselves."""
    used, unfinished = users.analyses, users.unfinished
    if users.batches == 1:
        wait = " when it is finished" if unfinished else ""
        return f"Batch {users.batch_id} uses this file: delete the batch first{wait}."
    if users.batches:
        return f"{users.batches:,} batches use this file, such as {users.batch_id}: delete them first."
    if unfinished == 1:
        return f"Analysis {users.analysis_id} needs this file still: cancel it, or wait until it is finished."
    if unfinished:
        such = f"such as {users.analysis_id}"
        return f"{unfinished:,} unfinished analyses need this file, {such}: cancel them, or wait for them."
    if used == 1:
        return f"Analysis {users.analysis_id} uses this file: delete that first."
    return f"{used:,} analyses use this file, such as {users.analysis_id}: delete them first."

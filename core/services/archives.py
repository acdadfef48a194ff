"""Items out of a ZIP archive that was uploaded before: each image in it is one, called by its path.

Everything is checked before anything is stored. Meanwhile the archive lies in a nameless
temporary file, and its images are unpacked once to be checked and once more to be stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from core import views
from core.archive import Archive, Member
from core.desk import Desk
from core.errors import InvalidRequest, Unavailable, UnsupportedMediaType
from core.models.analysis import CUSTOM_ID_LENGTH
from core.services.files import Upload, check_images
from core.services.rows import MOST_ITEMS, Broken
from core.views import Shown

MOST_UNPACKED = 10
"""Times the bytes that an upload may have: what the images of one archive may come to."""
RETRY_AFTER = 5.0


@contextmanager
def opened(desk: Desk, pieces: Iterable[bytes], by: str | None = None) -> Iterator[Iterator[tuple[int, Any]]]:
    """Places by name (from 1) and an item or Broken at each; its images are there until this is left.

    Grouped `by` folder or name, each is a view of the SKU that its path tells. Raises InvalidRequest for an
    archive that is none, or one too large; Unavailable without room for it.
    """
    with TemporaryFile() as file:
        _write(file, pieces)
        archive = Archive(file)
        _bound(desk, archive.members)
        members = list(enumerate(archive.members, 1))
        if by is not None:
            members.sort(key=lambda numbered: _order(numbered[1], by))
        yield ((place, _row(desk, archive, member, by)) for place, member in members)


def _write(file: BinaryIO, pieces: Iterable[bytes]) -> None:
    try:
        file.writelines(pieces)
        file.flush()
    except OSError as error:
        raise Unavailable("There is no room for this archive just now.", retry_after=RETRY_AFTER) from error


def _bound(desk: Desk, members: Sequence[Member]) -> None:
    """Refuse by the directory alone what need not be read."""
    if not members:
        raise InvalidRequest("The ZIP archive holds no images.", details={"field": "input_file_id"})
    if len(members) > MOST_ITEMS:
        raise InvalidRequest(
            f"The ZIP archive holds {len(members):,} files: a batch takes at most {MOST_ITEMS:,} items.",
            details={"limit": MOST_ITEMS},
        )
    total, limit = sum(member.byte_size for member in members), MOST_UNPACKED * desk.settings.max_upload_size
    if total > limit:
        raise InvalidRequest(
            f"The ZIP archive unpacks to {total:,} bytes: at most {limit:,} are taken.",
            details={"limit": limit},
        )


def _order(member: Member, by: str) -> Any:
    """Where a member stands: with its SKU, the main view first."""
    try:
        return views.order(views.shown(member.name, by))
    except InvalidRequest:
        return views.order(Shown(member.name, None))


def _row(desk: Desk, archive: Archive, member: Member, by: str | None) -> Any:
    try:
        called = _called(member, by)
        upload = _upload(desk, archive, member)
        check_images(desk, [upload])
    except (InvalidRequest, UnsupportedMediaType) as error:
        return Broken(error.message, custom_id=_shown(member.name), field="image")
    return {**called, "image": upload}


def _called(member: Member, by: str | None) -> dict[str, Any]:
    """What the path of a member tells of its image. Raises InvalidRequest."""
    if by is not None and not member.flaw:
        return views.shown(member.name, by)._asdict()
    if len(member.name) > CUSTOM_ID_LENGTH:
        raise InvalidRequest(f"Its path is longer than the {CUSTOM_ID_LENGTH} characters of a custom_id.")
    return {"custom_id": member.name}


def _upload(desk: Desk, archive: Archive, member: Member) -> Upload:
    """A member, read through once. Raises InvalidRequest for one that is not sound."""
    limit, digest = desk.settings.max_file_size, hashlib.sha256()
    if member.byte_size > limit:
        raise InvalidRequest(
            f"It unpacks to {member.byte_size:,} bytes: an image may have at most {limit:,}."
        )
    for piece in archive.pieces(member):
        digest.update(piece)
    content = cast("BinaryIO", archive.content(member))
    return Upload(content, member.byte_size, digest.hexdigest(), member.name)


def _shown(name: str) -> str:
    """A name that may be anything, in so far as it can be seen."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name[:CUSTOM_ID_LENGTH])

"""What workers do with images that are named by a URL: see what is missing, and keep what was fetched."""

from __future__ import annotations

from dataclasses import dataclass

from core.desk import Desk
from core.services.files import WITH_ANALYSIS, Upload, keep_bytes, named
from core.services.outcomes import Claim
from core.store import fetches, files

Earlier = fetches.Earlier


@dataclass(frozen=True, slots=True)
class Fetched:
    """An image as its host gave it."""

    upload: Upload
    media_type: str
    etag: str | None
    last_modified: str | None


def sources(desk: Desk, claimed: Claim) -> list[tuple[str | None, str | None]]:
    """SHA-256 and URL of each image, in their order; one that is still to be fetched has no SHA-256."""
    with desk.database.transaction() as session:
        return fetches.sources(session, claimed.id)


def earlier(desk: Desk, claimed: Claim, url: str) -> Earlier | None:
    """What this URL led to when the account's images were fetched before."""
    with desk.database.transaction() as session:
        return fetches.earlier(session, claimed.account_id, url)


def keep(desk: Desk, claimed: Claim, position: int, url: str, fetched: Fetched) -> str:
    """Store a fetched image as a file of the account, once for the same bytes; its digest.

    The file goes when the last analysis of it goes. Raises WrongState where the image is no longer wanted;
    nothing but the bytes is stored then, and these go soon.
    """
    upload, account_id = fetched.upload, claimed.account_id
    keep_bytes(desk, [upload])
    with desk.database.transaction() as session:
        file = files.of_digest(session, account_id, upload.digest, WITH_ANALYSIS)
        if file is None:
            file = named(upload, account_id=account_id, media_type=fetched.media_type, purpose=WITH_ANALYSIS)
            files.add(session, [file])
        fetches.link(session, claimed.id, position, file.id)
        said = {"etag": fetched.etag, "last_modified": fetched.last_modified}
        fetches.remember(session, account_id, url, file.id, **said)
    return upload.digest


def reuse(desk: Desk, claimed: Claim, position: int, url: str) -> str | None:
    """Take what the URL led to before, which its host says has not changed; its digest.

    None where it was removed meanwhile. Raises WrongState where the image is no longer wanted.
    """
    with desk.database.transaction() as session:
        known = fetches.earlier(session, claimed.account_id, url, lock=True)
        if known is None:
            return None
        fetches.link(session, claimed.id, position, known.file_id)
        return known.digest

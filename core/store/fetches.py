"""Images named by a URL: what is still to be fetched, what was, and what the host said of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import WrongState
from core.models import AnalysisImage, Fetch, File


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a URL led to before, and how its host can tell whether that is still so."""

    file_id: str
    digest: str
    etag: str | None
    last_modified: str | None


def sources(session: Session, analysis_id: str) -> list[tuple[str | None, str | None]]:
    """SHA-256 and URL of each image of an analysis, in their order; one to be fetched has no SHA-256."""
    images = (
        select(File.digest, AnalysisImage.url)
        .select_from(AnalysisImage)
        .outerjoin(File, File.id == AnalysisImage.file_id)
        .where(AnalysisImage.analysis_id == analysis_id)
        .order_by(AnalysisImage.position)
    )
    return [(digest, url) for digest, url in session.execute(images)]


def earlier(session: Session, account_id: str, url: str, *, lock: bool = False) -> Earlier | None:
    """What the account's URL led to last, with `lock` kept from being removed until the commit."""
    query = (
        select(Fetch.file_id, File.digest, Fetch.etag, Fetch.last_modified)
        .join(File, File.id == Fetch.file_id)
        .where(Fetch.account_id == account_id, Fetch.url_digest == _digest(url))
    )
    row = session.execute(query.with_for_update(read=True, of=File) if lock else query).one_or_none()
    return None if row is None else Earlier(*row)


def remember(
    session: Session, account_id: str, url: str, file_id: str, *, etag: str | None, last_modified: str | None
) -> None:
    """Keep what a URL led to, in the place of what it led to before."""
    values = {"file_id": file_id, "etag": etag, "last_modified": last_modified, "fetched_at": func.now()}
    row = insert(Fetch).values(account_id=account_id, url_digest=_digest(url), **values)
    session.execute(
        row.on_conflict_do_update(index_elements=[Fetch.account_id, Fetch.url_digest], set_=values)
    )


def link(session: Session, analysis_id: str, position: int, file_id: str) -> None:
    """Give an image its file. Raises WrongState where it has one, or is gone."""
    linked = (
        update(AnalysisImage)
        .where(
            AnalysisImage.analysis_id == analysis_id,
            AnalysisImage.position == position,
            AnalysisImage.file_id.is_(None),
        )
        .values(file_id=file_id)
        .returning(AnalysisImage.position)
    )
    if session.execute(linked).one_or_none() is None:
        raise WrongState(f"Image {position} of analysis {analysis_id} is no longer to be fetched.")


def _digest(url: str) -> bytes:
    return hashlib.sha256(url.encode()).digest()

"""Stored bytes and their names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import AnalysisImage, Blob, File


def touch_blob(session: Session, digest: str, byte_size: int) -> None:
    """Say that these bytes are about to be used, so that nobody removes them meanwhile."""
    session.execute(
        insert(Blob)
        .values(digest=digest, byte_size=byte_size)
        .on_conflict_do_update(index_elements=[Blob.digest], set_={"touched_at": func.now()})
    )


def add(session: Session, files: Sequence[File]) -> None:
    """Store new names."""
    session.add_all(files)
    session.flush()


def owned(session: Session, account_id: str, file_ids: Sequence[str]) -> dict[str, File]:
    """Those of the files that the account has, by id; locked against removal until the commit."""
    query = (
        select(File).where(File.account_id == account_id, File.id.in_(file_ids)).with_for_update(read=True)
    )
    return {file.id: file for file in session.scalars(query)}


def remove_unused(session: Session, file_ids: Sequence[str], purpose: str) -> None:
    """Remove those of the files that have this purpose and that no analysis needs any more."""
    # Held first and judged by a second statement, which sees what a submission committed meanwhile.
    session.execute(select(File.id).where(File.id.in_(file_ids)).order_by(File.id).with_for_update())
    needed = exists().where(AnalysisImage.file_id == File.id)
    session.execute(delete(File).where(File.id.in_(file_ids), File.purpose == purpose, ~needed))


def abandoned_blobs(session: Session, age: timedelta, limit: int) -> list[str]:
    """Digests that no file names and that nobody touched for that long."""
    named = exists().where(File.digest == Blob.digest)
    query = select(Blob.digest).where(Blob.touched_at < func.now() - age, ~named).limit(limit)
    return list(session.scalars(query))


def remove_blob(session: Session, digest: str, age: timedelta) -> bool:
    """Remove the row of abandoned bytes and hold it until the commit; False where someone came first."""
    named = exists().where(File.digest == Blob.digest)
    query = delete(Blob).where(Blob.digest == digest, Blob.touched_at < func.now() - age, ~named)
    return session.execute(query.returning(Blob.digest)).scalar_one_or_none() is not None

"""Stored bytes and their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from core.db import Driver
from core.errors import NotFound
from core.models import Analysis, AnalysisImage, Base, Blob, File
from core.models.file import IMAGES, Purpose
from core.prepared import Prepared
from core.states import FINAL
from core.store.copying import copy
from core.store.pages import newest_first, oldest_first

BLOBS = Base.metadata.tables["blobs"]
BYTES = func.unnest(bindparam("digests", type_=ARRAY(String)), bindparam("sizes", type_=ARRAY(BigInteger)))
TOUCH = Prepared(
    insert(BLOBS)
    .from_select(["digest", "byte_size"], select(BYTES.table_valued("digest", "byte_size").render_derived()))
    .on_conflict_do_update(index_elements=[BLOBS.c.digest], set_={"touched_at": func.now()})
)
FILE_COLUMNS = ("id", "account_id", "digest", "byte_size", "media_type", "name", "purpose")


def touch_blobs(driver: Driver, sizes: Mapping[str, int]) -> None:
    """Say that bytes are about to be used, by their digests, so that nobody removes them meanwhile."""
    digests = sorted(sizes)  # in one order of locks for everyone
    TOUCH.do(driver, {"digests": digests, "sizes": [sizes[digest] for digest in digests]})


def add(session: Session, files: Sequence[File]) -> None:
    """Store new names."""
    session.add_all(files)
    session.flush()


def copy_new(session: Session, files: Iterable[Sequence[Any]]) -> None:
    """Store new names (FILE_COLUMNS) by COPY, in this transaction."""
    copy(session, "files", FILE_COLUMNS, files)


def owned(session: Session, account_id: str, file_ids: Sequence[str]) -> dict[str, File]:
    """Those of the files that are images of the account, by id; locked against removal until the commit."""
    query = (
        select(File)
        .where(*_mine(account_id), File.purpose.in_(IMAGES), File.id.in_(file_ids))
        .order_by(File.id)
        .with_for_update(read=True)
    )
    return {file.id: file for file in session.scalars(query)}


def known(session: Session, account_id: str, file_ids: Sequence[str]) -> dict[str, str]:
    """SHA-256 of those that are images of the account; not locked, for a foreign key stands behind them."""
    mine = select(File.id, File.digest).where(
        *_mine(account_id),
        File.purpose.in_(IMAGES),
        File.id == any_(literal(list(file_ids), ARRAY(String))),
    )
    return {row.id: row.digest for row in session.execute(mine)}


def purposes(session: Session, account_id: str, file_ids: Collection[str]) -> dict[str, str]:
    """What those of the files that the account has are for, by id."""
    among_them = File.id == any_(literal(list(file_ids), ARRAY(String)))
    mine = select(File.id, File.purpose).where(*_mine(account_id), among_them)
    return {row.id: row.purpose for row in session.execute(mine)}


def of_digest(session: Session, account_id: str, digest: str, purpose: str) -> File | None:
    """A file of the account with these bytes and this purpose; locked against removal until the commit."""
    same = (File.digest == digest, File.purpose == purpose)
    query = select(File).where(*_mine(account_id), *same).order_by(File.id).limit(1)
    return session.scalars(query.with_for_update(read=True)).one_or_none()


def get(session: Session, account_id: str, file_id: str, *, lock: bool = False) -> File:
    """A file of the account, with `lock` held until the commit. Raises NotFound, also for another's."""
    query = select(File).where(*_mine(account_id), File.id == file_id)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no file {file_id!r}.")
    return found


def page(
    session: Session,
    account_id: str,
    *,
    behind: str | None,
    limit: int,
    filters: Mapping[str, Any],
    oldest: bool = False,
) -> tuple[list[File], bool]:
    """Up to `limit` files of the account behind an id, the newest (or oldest) first; are there more."""
    query = select(File).where(*_mine(account_id)).filter_by(**filters)
    if oldest:
        return oldest_first(session, query, File.id, after=behind, limit=limit)
    return newest_first(session, query, File.id, before=behind, limit=limit)


@dataclass(frozen=True, slots=True)
class Users:
    """Who uses a file."""

    analyses: int
    """Items of batches among them."""
    unfinished: int
    analysis_id: str | None
    """One of the analyses, not finished where one is not."""
    batches: int
    batch_id: str | None
    """One of the batches."""


def users(session: Session, file_id: str) -> Users:
    """How many analyses use the file, how many of these are not finished, and the batches they belong to."""
    one, first = func.count(Analysis.id.distinct()), func.min(Analysis.id)
    unfinished = Analysis.state.not_in(FINAL)
    query = select(
        one,
        one.filter(unfinished),
        func.coalesce(first.filter(unfinished), first),
        func.count(Analysis.batch_id.distinct()),
        func.min(Analysis.batch_id),
    ).join(AnalysisImage)
    return Users(*session.execute(query.where(AnalysisImage.file_id == file_id)).one())


def remove(session: Session, file: File) -> None:
    """Remove a name; the bytes follow when no other name is left."""
    session.delete(file)
    session.flush()


def remove_expired(session: Session, limit: int, age: timedelta | None) -> int:
    """Remove files whose time is up and that no analysis needs; how many. Others' locks are passed over.

    The time of those that were uploaded by themselves is also up at this age.
    """
    needed = exists().where(AnalysisImage.file_id == File.id)
    late = File.expires_at <= func.now()
    if age is not None:
        late = or_(late, and_(File.purpose != Purpose.ANALYSIS, File.created_at < func.now() - age))
    due = select(File.id).where(late, ~needed)
    held = list(session.scalars(due.limit(limit).with_for_update(skip_locked=True)))
    # Judged again by a second statement, which sees what was submitted before the rows were held.
    gone = delete(File).where(File.id.in_(held), ~needed).returning(File.id)
    return len(session.scalars(gone).all())


def of_batch(session: Session, batch_id: str, purpose: str) -> list[str]:
    """The files of this purpose that items of a batch use."""
    items = select(AnalysisImage.file_id).join(Analysis).where(Analysis.batch_id == batch_id)
    return list(session.scalars(select(File.id).where(File.purpose == purpose, File.id.in_(items))))


def remove_unused(session: Session, file_ids: Sequence[str], purpose: str) -> None:
    """Remove those of the files that have this purpose and that no analysis needs any more."""
    among_them = File.id == any_(literal(list(file_ids), ARRAY(String)))  # one parameter, however many
    # Held first and judged by a second statement, which sees what a submission committed meanwhile.
    session.execute(select(File.id).where(among_them).order_by(File.id).with_for_update())
    needed = exists().where(AnalysisImage.file_id == File.id)
    unused = delete(File).where(among_them, File.purpose == purpose, ~needed)
    session.execute(unused.execution_options(synchronize_session=False))


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


def _mine(account_id: str) -> tuple[ColumnElement[bool], ...]:
    """Files of the account whose time is not up."""
    return File.account_id == account_id, or_(File.expires_at.is_(None), File.expires_at > func.now())

"""Embeddings of images: which are ordered, which are there, and which of an account's are near another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Float,
    Select,
    Text,
    any_,
    cast,
    exists,
    func,
    literal,
    select,
    tuple_,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Analysis, Base, Blob, File
from core.states import FINAL
from core.store.catalogue import are_images, belongs_to, mine
from core.store.features import MEASURED
from core.store.features import TABLE as FEATURES
from core.store.frames import LOOKING_AT_ALL
from core.store.hnsw import search_index

TABLE = Base.metadata.tables["image_embeddings"]
Vector = tuple[float, ...]
IDS = ARRAY(Text)


class Wanted(NamedTuple):
    """An image of an account, as one model sees it."""

    account_id: str
    model: str
    digest: str


def order(session: Session, wanted: Wanted, analysis_id: str) -> str | None:
    """Have this analysis embed an image, unless that is done or another does it; the id of the one that does.

    None where nothing is to be done, for the vector is there or the bytes are gone.
    """
    columns = {**wanted._asdict(), "analysis_id": analysis_id}
    there = select(*(literal(value) for value in columns.values())).where(Blob.digest == wanted.digest)
    held = there.with_for_update(read=True, key_share=True, of=Blob)  # or gone by now, but not in between
    adding = insert(TABLE).from_select(list(columns), held).on_conflict_do_nothing()
    if session.execute(adding.returning(TABLE.c.digest)).first():
        return analysis_id
    lacking = select(TABLE.c.analysis_id).where(_is(wanted), TABLE.c.vector.is_(None))
    earlier: str | None = session.execute(lacking.with_for_update()).scalar_one_or_none()
    # A statement of its own: it sees what whoever held the row until now has committed.
    if earlier is None or _is_open(session, earlier):
        return earlier
    session.execute(update(TABLE).where(_is(wanted)).values(analysis_id=analysis_id))
    return analysis_id


def keep(connection: Connection, wanted: Wanted, vector: Sequence[float]) -> None:
    """Keep a vector that was ordered; nothing happens where one is there, or the image is gone."""
    values = {"vector": HalfVector(list(vector)), "dimensions": len(vector)}
    connection.execute(update(TABLE).where(_is(wanted), TABLE.c.vector.is_(None)).values(values))


def of(connection: Connection, wanted: Wanted) -> Vector | None:
    """The vector of an image, where it is there."""
    found = connection.execute(select(TABLE.c.vector).where(_is(wanted))).scalar_one_or_none()
    return None if found is None else tuple(found)


def near(
    session: Session,
    account_id: str,
    model: str,
    vector: Vector,
    *,
    limit: int,
    exact: bool,
    metadata: Mapping[str, Any] | None = None,
) -> list[tuple[str, float]]:
    """Digests of the account's images nearest to a vector of this model, with the cosines of the angles.

    With `exact`, every one is looked at; else the index of such vectors is searched, which must be there.
    `metadata` is what that of an analysis of theirs must contain.
    """
    length = HALFVEC(len(vector))
    # In no condition: Postgres may look at these in any order, and refuses to compare other lengths.
    apart = cast(TABLE.c.vector, length).op("<=>", return_type=Float)(cast(HalfVector(list(vector)), length))
    query = select(TABLE.c.digest, apart).where(*_of_space(account_id, model, len(vector))).limit(limit)
    if exact:
        session.execute(LOOKING_AT_ALL)
        own = mine(account_id, metadata)
        query = query.join(own, own.c.digest == TABLE.c.digest).order_by(apart + 0, TABLE.c.digest)
    else:
        search_index(session, limit)
        query = query.where(belongs_to(account_id, TABLE.c.digest)).order_by(apart)
    return [(digest, 1 - distance) for digest, distance in session.execute(query)]


def count(session: Session, account_id: str, model: str, dimensions: int, most: int) -> int:
    """How many vectors of this length the account has by a model, counted up to `most`."""
    some = select(TABLE.c.account_id).where(*_of_space(account_id, model, dimensions)).limit(most).subquery()
    return session.execute(select(func.count()).select_from(some)).scalar_one()


def count_new(
    session: Session, account_id: str, model: str, digests: Collection[str], file_ids: Collection[str]
) -> int:
    """How many of these bytes, and of those of these files of the account's, have no vector yet."""
    stored = select(File.digest).where(
        File.account_id == account_id, File.id == any_(literal([*file_ids], IDS))
    )
    given = union(select(func.unnest(literal([*digests], IDS)).label("digest")), stored).subquery()
    of_this = TABLE.c.account_id == account_id, TABLE.c.model == model, TABLE.c.digest == given.c.digest
    there = exists().where(*of_this, TABLE.c.vector.is_not(None))
    return session.execute(select(func.count()).select_from(given).where(~there)).scalar_one()


def missing(session: Session, model: str, *, behind: tuple[str, str], limit: int) -> list[Wanted]:
    """Images of accounts, behind an account and a digest, that can be decoded and lack a vector."""
    place = File.account_id, File.digest
    query = _missing(model).distinct().where(tuple_(*place) > tuple_(*behind)).order_by(*place).limit(limit)
    return [Wanted(account_id, model, digest) for account_id, digest in session.execute(query)]


def count_missing(session: Session, model: str) -> int:
    """How many those are."""
    images = _missing(model).distinct().subquery()
    return session.execute(select(func.count()).select_from(images)).scalar_one()


def count_left(session: Session, analysis_ids: Sequence[str]) -> int:
    """How many of these analyses are still to end."""
    return session.execute(
        select(func.count()).select_from(Analysis).where(Analysis.id.in_(analysis_ids), _OPEN)
    ).scalar_one()


def count_kept(session: Session, analysis_ids: Sequence[str]) -> int:
    """How many of these analyses have brought a vector."""
    done = TABLE.c.analysis_id.in_(analysis_ids), TABLE.c.vector.is_not(None)
    return session.execute(select(func.count()).select_from(TABLE).where(*done)).scalar_one()


_OPEN = Analysis.state.not_in(FINAL)


def _missing(model: str) -> Select[str, str]:
    columns = TABLE.c.account_id == File.account_id, TABLE.c.digest == File.digest
    there = exists().where(*columns, TABLE.c.model == model, TABLE.c.vector.is_not(None))
    measured = exists().where(FEATURES.c.digest == File.digest, *MEASURED)
    return select(File.account_id, File.digest).where(*are_images(), measured, ~there)


def _of_space(account_id: str, model: str, dimensions: int) -> tuple[ColumnElement[bool], ...]:
    return TABLE.c.model == model, TABLE.c.dimensions == dimensions, TABLE.c.account_id == account_id


def _is(wanted: Wanted) -> ColumnElement[bool]:
    return tuple_(TABLE.c.account_id, TABLE.c.model, TABLE.c.digest) == tuple_(*wanted)


def _is_open(session: Session, analysis_id: str) -> bool:
    return session.scalar(select(exists().where(Analysis.id == analysis_id, _OPEN))) or False

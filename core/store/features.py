"""Features of images, and which of an account's images are near others by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Float,
    LargeBinary,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.likeness import BITS, VERSION, Features
from core.models import Base, Blob, File, ImageFeatures
from core.store.catalogue import are_images, belongs_to, mine
from core.store.frames import LOOKING_AT_ALL, bits, frame_of, framing
from core.store.hnsw import search_index

TABLE = Base.metadata.tables["image_features"]
MEASURED = (ImageFeatures.version == VERSION, ImageFeatures.vector.is_not(None))


@dataclass(frozen=True, slots=True)
class Unmeasurable:
    """Why an image has no features."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Near:
    """An image near another by their vectors."""

    digest: str
    features: Features
    distance: float


def keep(connection: Connection, measured: Mapping[str, Features]) -> None:
    """Keep features by the digest of their bytes, unless these are gone by now, or those are known."""
    digests = sorted(measured)  # in one order of locks for everyone
    features = [measured[digest] for digest in digests]
    values = {
        "digests": digests,
        "hashes": [bits(each.hash) for each in features],
        "layouts": [each.layout for each in features],
        "vectors": [HalfVector(list(each.vector)).to_text() for each in features],
    }
    connection.execute(KEEP, values)


def _keeping() -> Any:
    given = (
        func.unnest(
            bindparam("digests", type_=ARRAY(Text)),
            bindparam("hashes", type_=ARRAY(Text)),
            bindparam("layouts", type_=ARRAY(LargeBinary)),
            bindparam("vectors", type_=ARRAY(Text)),
        )
        .table_valued("digest", "hash", "layout", "vector")
        .render_derived()
    )
    rows = select(
        given.c.digest,
        literal(VERSION),
        cast(given.c.hash, TABLE.c.hash.type),
        given.c.layout,
        cast(given.c.vector, TABLE.c.vector.type),
    ).join(Blob, Blob.digest == given.c.digest)
    adding = insert(TABLE).from_select(["digest", "version", "hash", "layout", "vector"], rows)
    fresh = {name: adding.excluded[name] for name in ("version", "hash", "layout", "vector")}
    kept = (
        adding.on_conflict_do_update(
            index_elements=["digest"],
            set_=fresh | {"error_code": None, "error_message": None},
            where=TABLE.c.version != VERSION,
        )
        .returning(TABLE.c.hash, TABLE.c.vector, TABLE.c.digest)
        .cte("kept")
    )
    return framing(select(kept.c.hash, frame_of(kept.c.vector), kept.c.digest))


KEEP = _keeping()


def keep_problem(session: Session, digest: str, problem: Unmeasurable) -> None:
    """Note that bytes cannot be measured, where they are still there."""
    said = {"version": VERSION, "error_code": problem.code, "error_message": problem.message}
    there = select(Blob.digest, *(literal(value) for value in said.values())).where(Blob.digest == digest)
    adding = insert(TABLE).from_select(["digest", *said], there)
    nothing = {"hash": None, "layout": None, "vector": None}
    session.execute(
        adding.on_conflict_do_update(
            index_elements=["digest"], set_=said | nothing, where=TABLE.c.version != VERSION
        )
    )


def of(connection: Connection, digest: str) -> Features | Unmeasurable | None:
    """The features of these bytes, or why there are none; None where they are still to be measured."""
    row = connection.execute(
        select(TABLE).where(TABLE.c.digest == digest, TABLE.c.version == VERSION)
    ).one_or_none()
    if row is None:
        return None
    return _features(row) if row.vector is not None else Unmeasurable(row.error_code, row.error_message)


def of_all(session: Session, digests: Sequence[str]) -> dict[str, Features]:
    """The features of these bytes, where they are measured, by digest."""
    query = select(TABLE).where(TABLE.c.digest.in_(digests), *MEASURED)
    return {row.digest: _features(row) for row in session.execute(query)}


def unmeasured(session: Session, *, behind: str, limit: int) -> list[str]:
    """Digests of images of any account, behind a digest, that this version did not look at yet."""
    known = exists().where(ImageFeatures.digest == File.digest, ImageFeatures.version == VERSION)
    query = select(File.digest).distinct().where(*are_images(), File.digest > behind, ~known)
    return list(session.scalars(query.order_by(File.digest).limit(limit)))


def left_of(session: Session, digests: Sequence[str]) -> list[str]:
    """Those of these digests that this version did not look at, and that are still stored."""
    known = exists().where(ImageFeatures.digest == Blob.digest, ImageFeatures.version == VERSION)
    return list(session.scalars(select(Blob.digest).where(Blob.digest.in_(digests), ~known)))


def count_unmeasurable(session: Session, digests: Sequence[str]) -> int:
    """How many of these digests this version could not measure."""
    bad = (ImageFeatures.version == VERSION, ImageFeatures.error_code.is_not(None))
    query = select(func.count()).select_from(ImageFeatures).where(ImageFeatures.digest.in_(digests), *bad)
    return session.execute(query).scalar_one()


def count_unmeasured(session: Session) -> int:
    """How many those are."""
    known = exists().where(ImageFeatures.digest == File.digest, ImageFeatures.version == VERSION)
    return session.execute(
        select(func.count(File.digest.distinct())).where(*are_images(), ~known)
    ).scalar_one()


def near_by_vector(
    session: Session,
    account_id: str,
    features: Features,
    *,
    limit: int,
    exact: bool,
    metadata: Mapping[str, Any] | None = None,
) -> list[Near]:
    """The account's nearest images by their vectors; with `exact`, every one of them is looked at.

    `metadata` is what that of an analysis of theirs must contain.
    """
    apart = TABLE.c.vector.op("<->", return_type=Float)(cast(list(features.vector), TABLE.c.vector.type))
    if exact:
        session.execute(LOOKING_AT_ALL)
        own = mine(account_id, metadata)
        query = _ranked(apart).join(own, own.c.digest == TABLE.c.digest)
        return _near(session, query.order_by(apart + 0, TABLE.c.digest).limit(limit))
    search_index(session, limit)
    return _near(
        session, _ranked(apart).where(belongs_to(account_id, TABLE.c.digest)).order_by(apart).limit(limit)
    )


def _ranked(apart: ColumnElement[Any]) -> Select[Any]:
    return select(TABLE.c.digest, TABLE.c.hash, TABLE.c.layout, TABLE.c.vector, apart.label("apart")).where(
        *MEASURED
    )


def _near(session: Session, query: Select[Any]) -> list[Near]:
    return [Near(row.digest, _features(row), row.apart) for row in session.execute(query)]


def _features(row: Any) -> Features:
    return Features(int(row.hash, 2).to_bytes(BITS // 8), bytes(row.layout), tuple(row.vector))

"""Features of images, and which of an account's images are near others by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    ARRAY,
    CTE,
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
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from core.likeness import BITS, FRAME, VERSION, Features
from core.models import Analysis, AnalysisImage, Base, Blob, File, ImageFeatures
from core.models.file import IMAGES

TABLE = Base.metadata.tables["image_features"]
MEASURED = (ImageFeatures.version == VERSION, ImageFeatures.vector.is_not(None))
EF_SEARCH = 100
"""Rows that a search of the index looks at: recall@10 is 0.95 and more from here on (bench/similar.py)."""
SEARCHING = text(
    "SELECT set_config('hnsw.ef_search', :ef, true), set_config('hnsw.iterative_scan', 'strict_order', true),"
    " set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
)


@dataclass(frozen=True, slots=True)
class Unmeasurable:
    """Why an image has no features."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Near:
    """An image near another, with their distance: of the hashes in bits, or of the vectors."""

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
    return adding.on_conflict_do_update(
        index_elements=["digest"],
        set_=fresh | {"error_code": None, "error_message": None},
        where=TABLE.c.version != VERSION,
    )


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


def unmeasured(session: Session, *, behind: str, limit: int) -> list[str]:
    """Digests of images of any account, behind a digest, that this version did not look at yet."""
    known = exists().where(ImageFeatures.digest == File.digest, ImageFeatures.version == VERSION)
    query = select(File.digest).distinct().where(*_are_images(), File.digest > behind, ~known)
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
        select(func.count(File.digest.distinct())).where(*_are_images(), ~known)
    ).scalar_one()


def near_by_hash(
    session: Session, account_id: str, features: Features, *, bits_apart: int, frame_apart: float, limit: int
) -> list[Near]:
    """The account's images that differ so much at most in bits of their hashes, and in colours, by distance.

    Every row is looked at.
    """
    apart = TABLE.c.hash.op("<~>", return_type=Float)(cast(bits(features.hash), TABLE.c.hash.type))
    frames = func.subvector(TABLE.c.vector, FRAME.place.start + 1, FRAME.place.stop)
    frame = list(features.vector[FRAME.place])
    frame_distance = frames.op("<->", return_type=Float)(cast(frame, HALFVEC()))
    query = _ranked(apart).where(_belongs_to(account_id), apart <= bits_apart, frame_distance <= frame_apart)
    return _near(session, query.order_by(apart, TABLE.c.digest).limit(limit))


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
        mine = _mine(account_id, metadata)
        query = _ranked(apart).join(mine, mine.c.digest == TABLE.c.digest)
        return _near(session, query.order_by(apart + 0, TABLE.c.digest).limit(limit))
    session.execute(SEARCHING, {"ef": str(max(EF_SEARCH, limit))})
    return _near(session, _ranked(apart).where(_belongs_to(account_id)).order_by(apart).limit(limit))


def count_images(session: Session, account_id: str, most: int) -> int:
    """How many images the account has, counted up to `most`."""
    some = select(File.id).where(*_own_images(account_id)).limit(most).subquery()
    return session.execute(select(func.count()).select_from(some)).scalar_one()


def files_of(
    session: Session,
    account_id: str,
    distances: Mapping[str, int],
    *,
    behind: tuple[int, str] | None,
    limit: int,
    leaving_out: str,
) -> list[tuple[File, int]]:
    """The account's files of these digests with their distances, the nearest first, behind a place."""
    given = (
        func.unnest(literal(list(distances), ARRAY(Text)), literal(list(distances.values()), ARRAY(Float)))
        .table_valued("digest", "distance")
        .render_derived()
    )
    query = (
        select(File, given.c.distance)
        .join(given, given.c.digest == File.digest)
        .where(*_own_images(account_id), File.id != leaving_out)
        .order_by(given.c.distance, File.id)
        .limit(limit)
    )
    if behind is not None:
        distance, file_id = behind
        query = query.where(
            or_(given.c.distance > distance, (given.c.distance == distance) & (File.id > file_id))
        )
    return [(file, int(distance)) for file, distance in session.execute(query)]


def shown(
    session: Session, account_id: str, digests: Sequence[str]
) -> dict[str, tuple[File, Analysis | None]]:
    """The account's newest file of each of these digests, and the newest analysis of any file of it."""
    newest = (
        select(File)
        .ext(distinct_on(File.digest))
        .where(*_own_images(account_id), File.digest.in_(digests))
        .order_by(File.digest, File.id.desc())
    )
    looked_at = (
        select(File.digest, Analysis)
        .ext(distinct_on(File.digest))
        .join(AnalysisImage, AnalysisImage.file_id == File.id)
        .join(Analysis, Analysis.id == AnalysisImage.analysis_id)
        .where(*_own_images(account_id), File.digest.in_(digests))
        .order_by(File.digest, Analysis.id.desc())
    )
    analyses = {row[0]: row[1] for row in session.execute(looked_at)}
    return {file.digest: (file, analyses.get(file.digest)) for file in session.scalars(newest)}


def bits(content: bytes) -> str:
    """Bytes as Postgres writes bits."""
    return f"{int.from_bytes(content):0{BITS}b}"


def _ranked(apart: ColumnElement[Any]) -> Select[Any]:
    return select(TABLE.c.digest, TABLE.c.hash, TABLE.c.layout, TABLE.c.vector, apart.label("apart")).where(
        *MEASURED
    )


def _near(session: Session, query: Select[Any]) -> list[Near]:
    return [Near(row.digest, _features(row), row.apart) for row in session.execute(query)]


def _features(row: Any) -> Features:
    return Features(int(row.hash, 2).to_bytes(BITS // 8), bytes(row.layout), tuple(row.vector))


def _are_images() -> tuple[ColumnElement[bool], ...]:
    fresh = or_(File.expires_at.is_(None), File.expires_at > func.now())
    return File.purpose.in_(IMAGES), File.media_type.like("image/%"), fresh


def _own_images(account_id: str) -> Iterable[ColumnElement[bool]]:
    return (File.account_id == account_id, *_are_images())


def _belongs_to(account_id: str) -> ColumnElement[bool]:
    return exists().where(*_own_images(account_id), File.digest == TABLE.c.digest)


def _mine(account_id: str, metadata: Mapping[str, Any] | None) -> CTE:
    """The digests of the account's images, apart from what is asked about them."""
    query = select(File.digest).distinct().where(*_own_images(account_id))
    if metadata:
        query = query.join(AnalysisImage, AnalysisImage.file_id == File.id).join(
            Analysis, Analysis.id == AnalysisImage.analysis_id
        )
        query = query.where(Analysis.account_id == account_id, Analysis.meta.contains(dict(metadata)))
    return query.cte("mine")

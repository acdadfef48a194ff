"""Hashes and coarse colours of images in a narrow table, every row of which is read for near-duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, cast, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.likeness import BITS, FRAME, VERSION, Features
from core.models import Base
from core.store.catalogue import belongs_to

FRAMES = Base.metadata.tables["image_frames"]
MEASURES = Base.metadata.tables["image_features"]
LOOKING_AT_ALL = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true),"
    " set_config('enable_seqscan', 'on', true)"
)
"""Before a statement that reads every row: the plan that Postgres makes for any parameters, once a statement
was prepared and run ten times, takes few files for images and looks them up one by one: 0.7 s for 0.06 s."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image whose hash and colours are near those of another."""

    digest: str
    layout: bytes
    distance: int
    """Of the hashes, in bits."""


def near(
    session: Session, account_id: str, features: Features, *, bits_apart: int, frame_apart: float, limit: int
) -> list[Candidate]:
    """The account's images that differ so much at most in bits of their hashes, and in colours, by distance.

    Every row is looked at.
    """
    apart = FRAMES.c.hash.op("<~>", return_type=Float)(cast(bits(features.hash), FRAMES.c.hash.type))
    frame = cast(list(features.vector[FRAME.place]), FRAMES.c.frame.type)
    frame_distance = FRAMES.c.frame.op("<->", return_type=Float)(frame)
    near = (
        select(FRAMES.c.digest, apart.label("apart"))
        .where(frame_distance <= frame_apart)  # first, for it leaves one of 500, and the hash one of 3
        .where(apart <= bits_apart, belongs_to(account_id, FRAMES.c.digest))
        .order_by(apart, FRAMES.c.digest)
        .limit(limit)  # before layouts are joined, else Postgres reads them all
        .subquery()
    )
    query = (
        select(near.c.digest, MEASURES.c.layout, near.c.apart)
        .join(MEASURES, MEASURES.c.digest == near.c.digest)
        .where(MEASURES.c.version == VERSION, MEASURES.c.layout.is_not(None))
        .order_by(near.c.apart, near.c.digest)
    )
    session.execute(LOOKING_AT_ALL)
    return [Candidate(digest, layout, int(bits)) for digest, layout, bits in session.execute(query)]


def complete(session: Session) -> None:
    """Make what processes from before there were frames have left out."""
    missing = ~exists().where(FRAMES.c.digest == MEASURES.c.digest)
    columns = MEASURES.c.hash, frame_of(MEASURES.c.vector), MEASURES.c.digest
    rows = select(*columns).where(MEASURES.c.vector.is_not(None), missing)
    session.execute(framing(rows))


def framing(rows: Select[Any]) -> Any:
    """Keep these hashes, frames and digests where every row is read."""
    adding = insert(FRAMES).from_select(["hash", "frame", "digest"], rows)
    fresh = {name: adding.excluded[name] for name in ("hash", "frame")}
    return adding.on_conflict_do_update(index_elements=["digest"], set_=fresh)


def frame_of(vector: ColumnElement[Any]) -> ColumnElement[Any]:
    """The part of a vector that is kept."""
    return func.subvector(vector, FRAME.place.start + 1, FRAME.place.stop)


def bits(content: bytes) -> str:
    """Bytes as Postgres writes bits."""
    return f"{int.from_bytes(content):0{BITS}b}"

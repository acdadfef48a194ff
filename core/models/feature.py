"""What stored images look like: measured by workers, compared by Postgres."""

from __future__ import annotations

from typing import Any

from pgvector.sqlalchemy import BIT, HALFVEC
from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.likeness import BITS, DIMENSIONS, FRAME
from core.models.base import Base, Id

NEIGHBOURS, CANDIDATES = 16, 64
"""m and ef_construction of every index of vectors: pgvector's defaults; bench/similar.py has their recall."""


class ImageFeatures(Base):
    """Of bytes and not of files, for they are the same for whoever has them; who may see them, files say."""

    __tablename__ = "image_features"
    __table_args__ = (
        Index(
            "ix_image_features_vector",
            "vector",
            postgresql_using="hnsw",
            postgresql_with={"m": NEIGHBOURS, "ef_construction": CANDIDATES},
            postgresql_ops={"vector": "halfvec_l2_ops"},
        ),
    )

    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(SmallInteger)
    """core.likeness.VERSION of what measured it."""
    hash: Mapped[str | None] = mapped_column(BIT(BITS))
    layout: Mapped[bytes | None] = mapped_column(LargeBinary)
    vector: Mapped[Any | None] = mapped_column(HALFVEC(DIMENSIONS))
    """All three are None for what cannot be measured; the next two say why."""
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)


class ImageEmbedding(Base):
    """What a model of the endpoint makes of an image, for the account that has paid for it.

    There from when it is ordered; the vector follows. core/store/embedding_indexes.py indexes these.
    """

    __tablename__ = "image_embeddings"
    __table_args__ = (Index(None, "digest"), Index(None, "model", "dimensions", "account_id"))

    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest", ondelete="CASCADE"), primary_key=True)
    analysis_id: Mapped[Id]
    """By which it was ordered last. No foreign key: that one may be deleted."""
    dimensions: Mapped[int | None] = mapped_column(SmallInteger)
    """Numbers of the vector; only those with as many are compared."""
    vector: Mapped[Any | None] = mapped_column(HALFVEC())
    """Of length 1."""


class ImageFrame(Base):
    """What near-duplicates are sieved by, apart from the rest: of this, every row is read for each question.

    A third as long as the rows above, and read in half the time (docs/benchmarks.md).
    """

    __tablename__ = "image_frames"

    hash: Mapped[str] = mapped_column(BIT(BITS))
    frame: Mapped[Any] = mapped_column(HALFVEC(FRAME.place.stop))
    """The part FRAME of the vector."""
    digest: Mapped[str] = mapped_column(
        ForeignKey("image_features.digest", ondelete="CASCADE"), primary_key=True
    )

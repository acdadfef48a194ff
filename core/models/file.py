"""Stored bytes, and the names that accounts know them by."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id, Timestamp

SHA256_HEX = 64


class Purpose(StrEnum):
    """What a file is there for."""

    VISION = "vision"
    """An image that was uploaded by itself."""
    BATCH = "batch"
    """The input of a batch."""
    ANALYSIS = "analysis"
    """An image that came with an analysis: it goes when the last analysis of it goes."""
    USER_DATA = "user_data"
    ASSISTANTS = "assistants"
    EVALS = "evals"
    FINE_TUNE = "fine-tune"
    """The last four are what clients of the OpenAI API say; their bytes are kept as they are."""


IMAGES = frozenset({Purpose.VISION, Purpose.ANALYSIS, Purpose.USER_DATA, Purpose.ASSISTANTS})
"""What analyses may look at."""


class Blob(Base):
    """Bytes in the blob store, once per SHA-256, whoever uploaded them."""

    __tablename__ = "blobs"
    __table_args__ = (Index(None, "touched_at"),)

    digest: Mapped[str] = mapped_column(String(SHA256_HEX, collation="C"), primary_key=True)
    byte_size: Mapped[int] = mapped_column(BigInteger)
    touched_at: Mapped[CreatedAt]
    """When someone last meant to use the bytes: what is unused and untouched for long may be removed."""


class File(Base):
    """An account's own name for stored bytes."""

    __tablename__ = "files"
    __table_args__ = (
        Index(None, "account_id", "id"),
        Index(None, "digest"),
        Index("ix_files_uploaded", "created_at", postgresql_where=text("purpose <> 'analysis'")),
        Index("ix_files_expiry", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"))
    byte_size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(255))
    purpose: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp | None]

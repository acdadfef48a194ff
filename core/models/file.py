"""Stored bytes, and the names that accounts know them by."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id, Timestamp

SHA256_HEX = 64


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
    __table_args__ = (Index(None, "account_id", "id"), Index(None, "digest"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"))
    byte_size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(255))
    purpose: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp | None]

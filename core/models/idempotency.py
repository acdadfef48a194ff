"""Requests that must not be done twice."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id


class IdempotencyKey(Base):
    """A key that a client sent, and what was made under it; stored in the transaction that makes it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    route: Mapped[str] = mapped_column(String(200, collation="C"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255, collation="C"), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of what was asked: the same key with another one is a mistake."""
    subject_id: Mapped[Id]
    """What was made. No foreign key: it may be deleted, and the key still stays used."""
    created_at: Mapped[CreatedAt]

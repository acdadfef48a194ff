"""Presets of an account's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id, Timestamp


class OwnPreset(Base):
    """One version of a preset; rows are never changed, and stay when the preset is deleted."""

    __tablename__ = "presets"
    __table_args__ = (Index("uq_presets_version", "account_id", "name", "version", unique=True),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    pack: Mapped[Any] = mapped_column(JSON)
    """JSON and not JSONB, which would lose the order of a schema's fields."""
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[Timestamp | None]
    """From then on it is given to nobody but those who named it before."""

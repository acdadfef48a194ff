"""The trees of categories of an account's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id


class Taxonomy(Base):
    """A tree, replaced as a whole."""

    __tablename__ = "taxonomies"

    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    nodes: Mapped[Any] = mapped_column(JSON)
    """A list of [id, label, parent or null], in the order in which they came."""
    node_count: Mapped[int]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

"""The books of what was not paid: one row per answer that was given again."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id
from core.models.usage import Money


class Reuse(Base):
    """Outlives the analysis that it answered, as calls do, hence no foreign keys."""

    __tablename__ = "reuses"
    __table_args__ = (Index(None, "account_id", "created_at"),)

    analysis_id: Mapped[Id] = mapped_column(primary_key=True)
    source_id: Mapped[Id]
    """The analysis that was paid for."""
    account_id: Mapped[Id]
    key_id: Mapped[Id]
    batch_id: Mapped[Id | None]
    preset: Mapped[str] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(200))
    saved_cost: Mapped[Decimal | None] = mapped_column(Money)
    """What the source cost in USD; None where its model has no price."""
    created_at: Mapped[CreatedAt]

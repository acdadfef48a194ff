"""The books: one row per paid request to the endpoint."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id, Timestamp, one_of
from core.models.usage import Money, UsageColumns
from core.states import CallState


class Call(UsageColumns, Base):
    """Commits before the request leaves; outlives the analysis it was made for, hence no foreign keys."""

    __tablename__ = "calls"
    __table_args__ = (
        one_of(CallState),
        Index(None, "analysis_id"),
        Index(None, "account_id", "created_at"),
        Index("ix_calls_open", "created_at", postgresql_where=text("state = 'reserved'")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    analysis_id: Mapped[Id]
    account_id: Mapped[Id]
    key_id: Mapped[Id]
    fence: Mapped[int] = mapped_column(BigInteger)
    model: Mapped[str] = mapped_column(String(200))
    preset: Mapped[str | None] = mapped_column(String(100))
    batch_id: Mapped[Id | None]
    request_id: Mapped[str | None] = mapped_column(String(128))

    state: Mapped[str] = mapped_column(String(16))
    reserved_cost: Mapped[Decimal | None] = mapped_column(Money)
    """The worst case in USD; None where the price table does not know the model."""
    reserved_tokens: Mapped[int | None]
    """The worst case in tokens."""
    saved_cost: Mapped[Decimal | None] = mapped_column(Money)
    """Of a cascade's first model: what not asking the stronger one saved in USD, below 0 where it was."""
    saved_image_tokens: Mapped[int | None]
    """What its images would have taken more as they came, by the table of core/image_tokens.json."""
    upstream_id: Mapped[str | None] = mapped_column(String(200))
    error_code: Mapped[str | None] = mapped_column(String(60))

    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Timestamp | None]

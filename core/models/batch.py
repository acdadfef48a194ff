"""Many analyses submitted, counted, cancelled and delivered together."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id, Timestamp, one_of
from core.models.usage import Money
from core.states import BatchState


class Batch(Base):
    """Its items are analyses; its counts are counted, never kept, and so always sum."""

    __tablename__ = "batches"
    __table_args__ = (
        one_of(BatchState),
        Index(None, "account_id", "id"),
        Index("ix_batches_open", "id", postgresql_where=text("finished_at IS NULL")),
        Index("ix_batches_kept", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_batches_deleted", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    key_id: Mapped[Id] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    request_id: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")

    total: Mapped[int]
    priority: Mapped[int]
    """Lower goes first, whoever it belongs to."""
    start_tag: Mapped[int] = mapped_column(BigInteger)
    """Virtual start of its first item (start-time fair queueing); each item is one step."""
    dispatch_limit: Mapped[int | None]
    """Only items before this position are dispatched: the pilot."""
    needed_cost: Mapped[Decimal | None] = mapped_column(Money)
    needed_tokens: Mapped[int | None]
    """The worst case of a call that a budget could not pay: nothing is dispatched until it can."""

    endpoint: Mapped[str | None] = mapped_column(String(100))
    """The address of the OpenAI API that each of its lines asks; None where it came by the native API."""
    input_file_id: Mapped[Id | None]
    """No foreign key: the file may be deleted once it is read."""
    output_lifetime: Mapped[timedelta | None]
    """How long its output can be read once it is finished; None for as long as it exists."""
    errors: Mapped[list[dict[str, Any]] | None]
    """What is wrong with the lines of its input, where it failed for that."""

    told_quarters: Mapped[int] = mapped_column(server_default="0")
    """How far webhooks were told that it has come."""

    created_at: Mapped[CreatedAt]
    started_at: Mapped[Timestamp | None]
    cancelling_at: Mapped[Timestamp | None]
    finished_at: Mapped[Timestamp | None]
    deadline_at: Mapped[Timestamp]
    deleted_at: Mapped[Timestamp | None]
    """From then on nobody sees it; its items go bit by bit, and it goes with the last of them."""


class Dispatch(Base):
    """The one row of the dispatcher: how far virtual time has come."""

    __tablename__ = "dispatch"

    id: Mapped[int] = mapped_column(primary_key=True)
    virtual_time: Mapped[int] = mapped_column(BigInteger, server_default="0")

"""Who is told of events, what they are told, and how that went."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import Base, CreatedAt, Id, Timestamp, one_of
from core.states import DeliveryState

ACTIVE = "disabled_at IS NULL"
PENDING = "state = 'pending'"
LANE_LENGTH = 80


class Webhook(Base):
    """A receiver of events: a standing one of an account, that of one submission, or a listener.

    A listener has no URL: somebody reads its deliveries from a live stream, until `expires_at`.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        Index(None, "account_id", "id"),
        Index("ix_webhooks_owner_id", "owner_id", postgresql_where=text(ACTIVE)),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    owner_id: Mapped[Id]
    """Whose events it is for: the account's (a standing one), or one analysis's or batch's."""
    url: Mapped[str | None] = mapped_column(Text)
    lane: Mapped[str | None] = mapped_column(String(LANE_LENGTH, collation="C"))
    """The account and the server of the URL: what deliveries wait in line for, each behind the others."""
    description: Mapped[str] = mapped_column(String(200), server_default="")
    events: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    batch_items: Mapped[bool] = mapped_column(server_default="false")
    """Whether it is told of single items of batches, too."""

    secret: Mapped[str | None] = mapped_column(Text)
    """As it was given: it must sign, so a hash would not do. None: nothing is signed."""
    old_secret: Mapped[str | None] = mapped_column(Text)
    old_secret_until: Mapped[Timestamp | None]

    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp | None]
    disabled_at: Mapped[Timestamp | None]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failing_since: Mapped[Timestamp | None]
    """The first failure since the last success."""

    def __repr__(self) -> str:
        return f"Webhook({self.id})"


class Delivery(Base):
    """One event on its way to one receiver; its id is the `webhook-id` of all attempts."""

    __tablename__ = "deliveries"
    __table_args__ = (
        one_of(DeliveryState),
        Index(None, "webhook_id", "id"),
        Index(None, "subject_id"),
        Index("ix_deliveries_waiting", "lane", "next_attempt_at", postgresql_where=text(PENDING)),
        Index(
            "ix_deliveries_busy",
            "lane",
            postgresql_where=text(f"{PENDING} AND rung_at IS NOT NULL"),
        ),
        Index("ix_deliveries_kept", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    webhook_id: Mapped[Id] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    account_id: Mapped[Id]
    lane: Mapped[str | None] = mapped_column(String(LANE_LENGTH, collation="C"))
    type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[Id]
    """The analysis, batch, key or webhook that it tells of."""
    payload: Mapped[Any] = mapped_column(JSON)
    """What is told, as it was at the moment of the event."""

    state: Mapped[str] = mapped_column(String(16), server_default=DeliveryState.PENDING)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed, or no more is made."""
    created_at: Mapped[CreatedAt]
    next_attempt_at: Mapped[CreatedAt]
    finished_at: Mapped[Timestamp | None]
    rung_at: Mapped[Timestamp | None]
    lease_until: Mapped[Timestamp | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Counts claims: an outcome names the claim it belongs to."""
    tries: Mapped[int] = mapped_column(server_default="0")
    """Of the present schedule; sent anew, it begins again."""
    attempts: Mapped[int] = mapped_column(server_default="0")
    """All that were ever recorded."""

    history: Mapped[list[Attempt]] = relationship(
        order_by=lambda: Attempt.number, lazy="raise", passive_deletes="all"
    )


class Attempt(Base):
    """One request to a receiver, and what came of it."""

    __tablename__ = "delivery_attempts"

    delivery_id: Mapped[Id] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    ended_at: Mapped[CreatedAt]
    seconds: Mapped[float]
    status: Mapped[int | None]
    """The HTTP status; None where none came."""
    error: Mapped[str | None] = mapped_column(Text)
    reply: Mapped[str | None] = mapped_column(Text)
    """The beginning of what the receiver said."""

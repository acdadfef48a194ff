"""Conversations: a session is an order of messages, and each turn of it an analysis."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Id, Timestamp

TOOL_CALL_ID_LENGTH = 200


class ChatSession(Base):
    """A conversation of an account. It has no state; it answers while the last analysis of it is open."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "account_id", "id"),
        Index("ix_sessions_used", "last_used_at", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_sessions_deleted", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    system: Mapped[str | None] = mapped_column(Text)
    """Said to the model before everything else."""
    images: Mapped[str] = mapped_column(String(10))
    """Which of the images shown earlier are shown again with each turn."""
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    last_sequence: Mapped[int] = mapped_column(server_default="0")
    """Of its newest message; counts up by one."""
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[CreatedAt]
    deleted_at: Mapped[Timestamp | None]
    """From then on nobody sees it; its turns go bit by bit, and it goes with the last of them."""


class Message(Base):
    """One message of a session; those of one turn are stored together, in their order, before it is answered.

    What the model says is not kept twice: an assistant's message says what its analysis answers.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("uq_messages_sequence", "session_id", "sequence", unique=True),
        Index(None, "analysis_id"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    session_id: Mapped[Id] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    sequence: Mapped[int]
    """Its place in the session, from 1."""
    analysis_id: Mapped[Id] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"))
    """The turn that it belongs to."""
    role: Mapped[str] = mapped_column(String(10))
    content: Mapped[str | None] = mapped_column(Text)
    tool_call_id: Mapped[str | None] = mapped_column(String(TOOL_CALL_ID_LENGTH))
    """Which call of the message before a tool's message answers."""
    first_image: Mapped[int | None]
    """Its own images are those of the analysis from this position on; before them are those shown again."""
    created_at: Mapped[CreatedAt]

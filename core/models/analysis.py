"""One question about one or more images, and its answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import Base, CreatedAt, Id, Timestamp, one_of
from core.models.file import File
from core.models.usage import Money, UsageColumns
from core.states import AnalysisState
from core.views import SKU_LENGTH, VIEW_LENGTH

CUSTOM_ID_LENGTH = 128

OPEN = "state IN ('queued', 'running')"
ALONE, ITEM = "batch_id IS NULL", "batch_id IS NOT NULL"
FINISHED = f"finish_xid IS NOT NULL AND {ITEM}"
ANSWERS = "state = 'completed' AND fingerprint IS NOT NULL AND cached_from IS NULL"
LEADING = "state = 'running' AND fingerprint IS NOT NULL AND NOT is_alone"


class AnalysisImage(Base):
    """An image of an analysis, in the order it was given."""

    __tablename__ = "analysis_images"
    __table_args__ = (
        Index(None, "file_id"),
        CheckConstraint("file_id IS NOT NULL OR url IS NOT NULL", name="source"),
    )

    analysis_id: Mapped[Id] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    file_id: Mapped[Id | None] = mapped_column(ForeignKey("files.id"))
    """None until what the URL names has been fetched."""
    url: Mapped[str | None] = mapped_column(Text)
    """Where a worker fetches it from; None for one that was sent."""
    view: Mapped[str | None] = mapped_column(String(VIEW_LENGTH))
    """What it shows, as the client calls it: front, back, label."""
    report: Mapped[dict[str, Any] | None]
    """What preparation made of it: original and sent size, bytes, actions."""

    file: Mapped[File | None] = relationship(lazy="raise")


class Analysis(UsageColumns, Base):
    """A row is claimed by one worker at a time: `lease_until` and `fence` say which."""

    __tablename__ = "analyses"
    __table_args__ = (
        one_of(AnalysisState),
        Index(None, "account_id", "id"),
        Index("ix_analyses_sku", "account_id", "sku", "id", postgresql_where=text("sku IS NOT NULL")),
        Index("ix_analyses_due", "next_attempt_at", postgresql_where=text(f"state = 'queued' AND {ALONE}")),
        Index("uq_analyses_item", "batch_id", "position", unique=True, postgresql_where=text(ITEM)),
        Index(
            "ix_analyses_open", "batch_id", "state", "position", postgresql_where=text(f"{OPEN} AND {ITEM}")
        ),
        Index("ix_analyses_finished", "batch_id", "finish_xid", "position", postgresql_where=text(FINISHED)),
        # None of `lease_until` or `rung_at`: a change of no index stays on its page and writes to none.
        Index("ix_analyses_running", "id", postgresql_where=text("state = 'running'")),
        Index(
            "ix_analyses_kept", "finished_at", postgresql_where=text(f"finished_at IS NOT NULL AND {ALONE}")
        ),
        Index("ix_analyses_overdue", "deadline_at", postgresql_where=text(f"{OPEN} AND {ALONE}")),
        Index("ix_analyses_answers", "fingerprint", "started_at", postgresql_where=text(ANSWERS)),
        Index("uq_analyses_leading", "fingerprint", unique=True, postgresql_where=text(LEADING)),
        Index("ix_analyses_following", "follows", postgresql_where=text("follows IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    key_id: Mapped[Id] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    request_id: Mapped[str] = mapped_column(String(128))
    batch_id: Mapped[Id | None] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    position: Mapped[int | None]
    """Its place in its batch, from 0."""
    custom_id: Mapped[str | None] = mapped_column(String(CUSTOM_ID_LENGTH))
    sku: Mapped[str | None] = mapped_column(String(SKU_LENGTH))
    """The product that its images are views of, as the client calls it."""

    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it is where it is, when the state alone does not say: a retry's cause, who cancelled."""

    preset: Mapped[str] = mapped_column(String(100))
    preset_version: Mapped[int]
    preset_id: Mapped[Id | None]
    """Of an account's own, which is never removed; None where the preset is built in."""
    question: Mapped[str | None] = mapped_column(Text)
    context: Mapped[str | None] = mapped_column(Text)
    preset_options: Mapped[dict[str, Any] | None]
    response_format: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    """The form of its answer, as the client gave it; None leaves it to the preset."""
    model: Mapped[str] = mapped_column(String(200))
    stronger_model: Mapped[str | None] = mapped_column(String(200))
    """The second of a cascade."""
    first_model: Mapped[str | None] = mapped_column(String(200))
    """The first of a cascade, once it was not enough; `model` is the stronger one then."""
    first_cost: Mapped[Decimal | None] = mapped_column(Money)
    """What was spent on the first, in USD."""
    escalation: Mapped[str | None] = mapped_column(Text)
    """Why the first was not enough."""
    max_tokens: Mapped[int]
    temperature: Mapped[float]
    detail: Mapped[str] = mapped_column(String(10))
    max_image_tokens: Mapped[int | None]
    """That each image may take; None leaves it to the detail."""
    require_quality: Mapped[list[str] | None] = mapped_column(ARRAY(String(64)))
    """Rule sets that its images must keep to, or nothing is asked."""
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    is_trial: Mapped[bool] = mapped_column(server_default="false")
    streamed: Mapped[bool] = mapped_column(server_default="false")
    """Whether its text is told while it is made, to whoever follows it."""
    body: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """A chat's request as it came, but each image in it a reference to its position; None for a question.

    JSON and not JSONB: endpoints answer in the order of a schema's fields.
    """

    cache_seconds: Mapped[int | None]
    """How much older than this one an answer may be that is given again; None where none is, nor its own."""
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Of all that its answer depends on (core.reuse); None as long as an image is still to be fetched."""
    follows: Mapped[Id | None]
    """The analysis that asks the very same, for whose answer it waits."""
    is_followed: Mapped[bool] = mapped_column(server_default="false")
    """Whether another ever waited for its answer: then its outcome is told to those that do."""
    is_alone: Mapped[bool] = mapped_column(server_default="false")
    """Whether the one that it followed has failed: it is asked by itself, beside others like it."""
    cached_from: Mapped[Id | None]
    """The analysis whose answer was given again. No foreign key: that one may be deleted."""
    reuses_near: Mapped[bool] = mapped_column(server_default="false")
    """Whether an answer about a picture that shows the same will do."""
    reused_distance: Mapped[int | None] = mapped_column(SmallInteger)
    """How far that picture is from its own, in bits of the hash."""

    created_at: Mapped[CreatedAt]
    started_at: Mapped[Timestamp | None]
    finished_at: Mapped[Timestamp | None]
    finish_xid: Mapped[int | None] = mapped_column(BigInteger)
    """The transaction that made it final: what is read below the oldest one that still runs has no gaps."""
    deadline_at: Mapped[Timestamp]
    next_attempt_at: Mapped[CreatedAt]
    rung_at: Mapped[Timestamp | None]

    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[Timestamp | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Counts claims: an outcome names the claim it belongs to."""
    lease_expiries: Mapped[int] = mapped_column(server_default="0")
    attempts: Mapped[int] = mapped_column(server_default="0")
    """Tries that count against the limit; waiting out a 429 does not."""

    answer: Mapped[str | None] = mapped_column(Text)
    data: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    """The answer where the preset has a schema; JSON and not JSONB, which would lose the order of fields."""
    reply: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """What the endpoint said to a chat: the completion, or `{status_code, body}` where it refused."""
    confidence: Mapped[float | None]
    finish_reason: Mapped[str | None] = mapped_column(String(40))
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)

    images: Mapped[list[AnalysisImage]] = relationship(
        order_by=AnalysisImage.position, lazy="raise", passive_deletes="all"
    )

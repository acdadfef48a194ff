"""The workers, as they last reported."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt


class Worker(Base):
    """One worker process; only workers may talk to the endpoint, so they also report how it does."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    started_at: Mapped[CreatedAt]
    seen_at: Mapped[CreatedAt]
    slots: Mapped[int]
    """Analyses that it can do at once; 0 where it only delivers to webhooks."""
    endpoint: Mapped[dict[str, Any]]
    """{"ok": bool, "latency_ms": float, "error": str | None, "rest": float, "requests_per_minute": float,
    "tokens_per_minute": float}; rest is how many seconds it is left alone for, and a limit of 0 is none."""

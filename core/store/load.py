"""What waits and what runs, for operators; two statements that read only what is open."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from core.models import Analysis, Batch
from core.states import AnalysisState, BatchState

ALONE, BULK, HELD = "interactive", "bulk", "held"
"""Waiting by itself, as an item of a batch that runs, or of one that does not."""
QUEUE = case((Analysis.batch_id.is_(None), ALONE), (Batch.state == BatchState.RUNNING, BULK), else_=HELD)
OLDEST = func.greatest(0, func.extract("epoch", func.now() - func.min(Analysis.next_attempt_at)))
WAITING = (
    select(QUEUE.label("queue"), func.count().label("depth"), OLDEST.label("oldest"))
    .select_from(Analysis)
    .outerjoin(Batch)
    .where(Analysis.state == AnalysisState.QUEUED)
    .group_by(QUEUE)
)
RUNNING = select(func.count()).where(Analysis.state == AnalysisState.RUNNING)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One queue."""

    depth: int = 0
    oldest: float = 0.0
    """Seconds that the longest of them has been due."""


def waiting(session: Session) -> dict[str, Waiting]:
    """Every queue by its name."""
    found = {row.queue: Waiting(row.depth, float(row.oldest)) for row in session.execute(WAITING)}
    return {name: found.get(name, Waiting()) for name in (ALONE, BULK, HELD)}


def running(session: Session) -> int:
    """Analyses that a worker holds."""
    return session.execute(RUNNING).scalar_one()

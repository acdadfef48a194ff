"""The books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from core.models import Analysis, Call
from core.states import CALL_MOVES, AnalysisState, CallState, sources

WORST_CASE = {
    "state": CallState.UNKNOWN,
    "finished_at": func.now(),
    "prompt_cost": Call.reserved_cost,
    "completion_cost": 0,
}
"""How a call ends of which nobody can say what it cost."""


def add(session: Session, call: Call) -> None:
    """Enter a call before it is made."""
    session.add(call)
    session.flush()


def move(session: Session, call_id: str, to: CallState, **values: Any) -> bool:
    """Close a call; False where it was closed before, by someone who knew as much or more."""
    closed = session.execute(
        update(Call)
        .where(Call.id == call_id, Call.state.in_(sources(CALL_MOVES, to)))
        .values(state=to, finished_at=func.now(), **values)
        .returning(Call.id)
    ).scalar_one_or_none()
    return closed is not None


def give_up(session: Session, analysis_ids: list[str]) -> None:
    """Close the open calls of dead leases: nobody will say what they cost, so the worst case stands."""
    session.execute(
        update(Call)
        .where(Call.analysis_id.in_(analysis_ids), Call.state == CallState.RESERVED)
        .values(WORST_CASE)
        .execution_options(synchronize_session=False)
    )


def give_up_orphans(session: Session, age: timedelta) -> list[str]:
    """Close open calls older than any call may take, behind which no lease stands; their analyses."""
    held = exists().where(
        Analysis.id == Call.analysis_id,
        Analysis.fence == Call.fence,
        Analysis.state == AnalysisState.RUNNING,
    )
    return list(
        session.scalars(
            update(Call)
            .where(Call.state == CallState.RESERVED, Call.created_at < func.now() - age, ~held)
            .values(WORST_CASE)
            .returning(Call.analysis_id)
            .execution_options(synchronize_session=False)
        )
    )


def of_analysis(session: Session, analysis_id: str) -> list[Call]:
    """The calls made for an analysis, in their order."""
    return list(session.scalars(select(Call).where(Call.analysis_id == analysis_id).order_by(Call.id)))

"""The books."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.errors import WrongState
from core.models import Call
from core.states import CALL_MOVES, CallState, sources


def add(session: Session, call: Call) -> None:
    """Enter a call before it is made."""
    session.add(call)
    session.flush()


def move(session: Session, call_id: str, to: CallState, **values: Any) -> None:
    """Close a call. Raises WrongState where it was closed for good before."""
    closed = session.execute(
        update(Call)
        .where(Call.id == call_id, Call.state.in_(sources(CALL_MOVES, to)))
        .values(state=to, finished_at=func.now(), **values)
        .returning(Call.id)
    ).scalar_one_or_none()
    if closed is None:
        raise WrongState(f"Call {call_id} is closed already.")


def give_up(session: Session, analysis_ids: list[str]) -> None:
    """Close the open calls of dead leases: nobody will say what they cost, so the worst case stands."""
    session.execute(
        update(Call)
        .where(Call.analysis_id.in_(analysis_ids), Call.state == CallState.RESERVED)
        .values(
            state=CallState.UNKNOWN, finished_at=func.now(), prompt_cost=Call.reserved_cost, completion_cost=0
        )
    )


def of_analysis(session: Session, analysis_id: str) -> list[Call]:
    """The calls made for an analysis, in their order."""
    return list(session.scalars(select(Call).where(Call.analysis_id == analysis_id).order_by(Call.id)))

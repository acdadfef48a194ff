"""The books."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session

from core.models import Analysis, Call
from core.states import CALL_MOVES, AnalysisState, CallState, sources


def may_become(to: CallState) -> ColumnElement[bool]:
    """The guard of every move."""
    return Call.state.in_(sources(CALL_MOVES, to))


def becoming(to: CallState) -> dict[str, Any]:
    """What every move to a state sets; where nobody can say what it cost, the worst case stands."""
    worst = {"prompt_cost": Call.reserved_cost, "completion_cost": 0} if to == CallState.UNKNOWN else {}
    return {"state": to, "finished_at": func.now(), **worst}


def move(session: Session, call_id: str, to: CallState, values: Mapping[str, Any]) -> bool:
    """Close a call; False where it was closed before, by someone who knew as much or more."""
    closed = session.execute(
        update(Call)
        .where(Call.id == call_id, may_become(to))
        .values(becoming(to) | dict(values))
        .returning(Call.id)
    ).scalar_one_or_none()
    return closed is not None


def give_up(session: Session, analysis_ids: list[str]) -> None:
    """Close the open calls of dead leases: nobody will say what they cost, so the worst case stands."""
    session.execute(
        update(Call)
        .where(Call.analysis_id.in_(analysis_ids), Call.state == CallState.RESERVED)
        .values(becoming(CallState.UNKNOWN))
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
            .values(becoming(CallState.UNKNOWN))
            .returning(Call.analysis_id)
            .execution_options(synchronize_session=False)
        )
    )


def of_analysis(session: Session, analysis_id: str) -> list[Call]:
    """The calls made for an analysis, in their order."""
    return list(session.scalars(select(Call).where(Call.analysis_id == analysis_id).order_by(Call.id)))

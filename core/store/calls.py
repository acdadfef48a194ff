"""The books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session

from core.models import Analysis, Base, Call
from core.states import CALL_MOVES, AnalysisState, CallState, sources
from core.store import budgets
from core.store.analyses import USAGE
from core.store.words import one_of, said

CALLS = Base.metadata.tables["calls"]
CLOSED = ("id", "key_id", "batch_id", "created_at", "reserved_cost", "reserved_tokens", *USAGE)
"""What is asked of a closed call: for the sums of its analysis, and for its budgets."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended; the values are columns of the books."""

    call_id: str
    state: CallState
    values: Mapping[str, Any]


def may_become(to: CallState) -> ColumnElement[bool]:
    """The guard of every move."""
    return one_of(Call.state, sources(CALL_MOVES, to))


def becoming(to: CallState) -> dict[str, Any]:
    """What every move to a state sets; where nobody can say what it cost, the worst case stands."""
    costs: dict[CallState, dict[str, Any]] = {
        CallState.UNKNOWN: {"prompt_cost": Call.reserved_cost, "completion_cost": 0},
        CallState.REFUSED: {"prompt_cost": None, "completion_cost": None},
    }
    return {"state": said(to), "finished_at": func.now(), **costs.get(to, {})}


def closing(to: CallState, names: Sequence[str], *where: ColumnElement[bool]) -> tuple[CTE, list[CTE]]:
    """The closed row of the call `this_call_id`, and what else must run beside it: budgets get back the rest.

    Each name is a column of the books, with its value in the parameter `call_…`.
    """
    given = {name: bindparam(f"call_{name}", type_=CALLS.c[name].type) for name in names}
    closed = (
        update(CALLS)
        .where(CALLS.c.id == bindparam("this_call_id"), may_become(to), *where)
        .values(becoming(to) | given)
        .returning(*(CALLS.c[name] for name in CLOSED))
        .cte("closed")
    )
    return closed, [] if to in budgets.WORST_STANDS else [budgets.giving_back(closed)]


def end_values(end: CallEnd) -> dict[str, Any]:
    """The parameters of `closing`."""
    return {"this_call_id": end.call_id} | {f"call_{name}": value for name, value in end.values.items()}


def move(session: Session, end: CallEnd) -> bool:
    """Close a call; False where it was closed before, by someone who knew as much or more."""
    return bool(session.scalar(_closing_alone(end.state, tuple(end.values)), end_values(end)))


def give_up(session: Session, analysis_ids: list[str]) -> None:
    """Close the open calls of dead leases: nobody will say what they cost, so the worst case stands."""
    session.execute(
        update(Call)
        .where(Call.analysis_id.in_(analysis_ids), Call.state == CallState.RESERVED)
        .values(becoming(CallState.UNKNOWN))
        .execution_options(synchronize_session=False)
    )


def orphaned(age: Any) -> ColumnElement[bool]:
    """Open calls older than that, behind which no lease stands."""
    held = exists().where(
        Analysis.id == Call.analysis_id,
        Analysis.fence == Call.fence,
        Analysis.state == said(AnalysisState.RUNNING),
    )
    return and_(Call.state == said(CallState.RESERVED), Call.created_at < func.now() - age, ~held)


def give_up_orphans(session: Session, age: timedelta) -> list[str]:
    """Close open calls older than any call may take, behind which no lease stands; their analyses."""
    return list(
        session.scalars(
            update(Call)
            .where(orphaned(age))
            .values(becoming(CallState.UNKNOWN))
            .returning(Call.analysis_id)
            .execution_options(synchronize_session=False)
        )
    )


def is_held(connection: Connection, analysis_id: str, since: timedelta) -> bool:
    """Whether a worker has not yet let go of a call whose streamed analysis was ended over its head.

    That is so for as long as `since` at most. One that expired had its calls closed as it did.
    """
    ended = (
        Analysis.streamed,
        Analysis.answer.is_(None),
        one_of(Analysis.state, [AnalysisState.CANCELLED, AnalysisState.EXPIRED]),
        Analysis.finished_at > func.now() - since,
    )
    is_open = or_(Call.finished_at.is_(None), Call.finished_at == Analysis.finished_at)
    held = exists().where(Analysis.id == analysis_id, Call.analysis_id == analysis_id, is_open, *ended)
    return bool(connection.execute(select(held)).scalar_one())


def of_analysis(session: Session, analysis_id: str) -> list[Call]:
    """The calls made for an analysis, in their order."""
    return list(session.scalars(select(Call).where(Call.analysis_id == analysis_id).order_by(Call.id)))


@cache
def _closing_alone(to: CallState, names: Sequence[str]) -> Any:
    closed, beside = closing(to, names)
    return select(exists(select(closed.c.id))).add_cte(*beside)

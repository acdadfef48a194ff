"""What every item pays for, one statement each: a claim, the entry of a call, the outcome.

A worker spends most of its own CPU here, so these are plain statements without entities, and those that never
change are made once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Interval,
    Table,
    Text,
    bindparam,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Session

from core.models import Analysis, AnalysisImage, Base, Batch, File
from core.states import AnalysisState, BatchState, CallState
from core.store import analyses, calls
from core.store.analyses import USAGE

ANALYSES, IMAGES, CALLS = (Base.metadata.tables[name] for name in ("analyses", "analysis_images", "calls"))
LEASE_UNTIL = func.now() + bindparam("for_lease", type_=Interval)
HELD = ANALYSES.c.fence == bindparam("held_fence", type_=BigInteger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An analysis that is one worker's while `fence` is the row's, with what that worker needs of it."""

    id: str
    account_id: str
    key_id: str
    request_id: str
    batch_id: str | None
    fence: int
    attempts: int
    preset: str
    preset_version: int
    question: str | None
    context: str | None
    model: str
    max_tokens: int
    temperature: float
    detail: str
    digests: Sequence[str]
    """SHA-256 of its images, in their order."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended; the values are columns of the books."""

    call_id: str
    state: CallState
    values: Mapping[str, Any]


def _taking() -> Any:
    batch_runs = exists().where(Batch.id == ANALYSES.c.batch_id, Batch.state == BatchState.RUNNING)
    taken = (
        update(ANALYSES)
        .where(
            ANALYSES.c.id == bindparam("this_id"),
            analyses.may_become(AnalysisState.RUNNING),
            ANALYSES.c.next_attempt_at <= func.now(),
            ANALYSES.c.deadline_at > func.now(),
            or_(ANALYSES.c.batch_id.is_(None), batch_runs),
        )
        .values(
            state=AnalysisState.RUNNING,
            worker=bindparam("worker_name"),
            lease_until=LEASE_UNTIL,
            fence=ANALYSES.c.fence + 1,
            started_at=func.coalesce(ANALYSES.c.started_at, func.now()),
        )
        .returning(*(ANALYSES.c[name] for name in Claim.__slots__ if name != "digests"))
        .cte("taken")
    )
    digests = (
        select(func.array_agg(aggregate_order_by(File.digest, AnalysisImage.position)))
        .select_from(AnalysisImage)
        .join(File, File.id == AnalysisImage.file_id)
        .where(AnalysisImage.analysis_id == taken.c.id)
        .scalar_subquery()
    )
    return select(taken, func.coalesce(digests, []).label("digests"))


def _entering() -> Any:
    held = (
        update(ANALYSES)
        .where(ANALYSES.c.id == bindparam("this_id"), ANALYSES.c.state == AnalysisState.RUNNING, HELD)
        .values(lease_until=LEASE_UNTIL)
        .returning(*(ANALYSES.c[name] for name in ("id", "account_id", "key_id", "fence", "model")))
        .cte("held")
    )
    reports = bindparam("reports", type_=Text)
    reported = (
        update(IMAGES)
        .where(IMAGES.c.analysis_id == held.c.id)
        .values(report=cast(reports, JSONB)[IMAGES.c.position])
        .cte("reported")
    )
    call = select(
        bindparam("new_call_id"),
        held.c.id,
        held.c.account_id,
        held.c.key_id,
        held.c.fence,
        held.c.model,
        literal(CallState.RESERVED, Text),
        bindparam("worst_case", type_=CALLS.c.reserved_cost.type),
    )
    names = ("id", "analysis_id", "account_id", "key_id", "fence", "model", "state", "reserved_cost")
    return insert(CALLS).from_select(names, call).returning(CALLS.c.id).add_cte(reported)


TAKE = _taking()
ENTER = _entering()


def take(session: Session, analysis_id: str, *, worker: str, lease: timedelta) -> Claim | None:
    """Take the lease of a due row; None where it is not due, not queued, or someone else was first."""
    found = session.execute(TAKE, {"this_id": analysis_id, "worker_name": worker, "for_lease": lease})
    row = found.mappings().one_or_none()
    return Claim(**row) if row else None


def renew(session: Session, claims: Mapping[str, int], lease: timedelta) -> set[str]:
    """Extend the leases of these claims (id to fence); the ids that are still held."""
    held = tuple_(Analysis.id, Analysis.fence).in_(claims.items())
    return set(
        session.scalars(
            update(ANALYSES)
            .where(analyses.in_order(held, Analysis.state == AnalysisState.RUNNING))
            .values(lease_until=func.now() + lease)
            .returning(ANALYSES.c.id)
        )
    )


def enter_call(
    session: Session,
    claim: Claim,
    call_id: str,
    *,
    reserved_cost: Decimal | None,
    reports: Sequence[dict[str, Any]],
    lease: timedelta,
) -> bool:
    """Enter a call of a claim, keep what preparation did to each image; False where the lease is lost."""
    values = {
        "this_id": claim.id,
        "held_fence": claim.fence,
        "for_lease": lease,
        "new_call_id": call_id,
        "worst_case": reserved_cost,
        "reports": json.dumps(reports),
    }
    return session.execute(ENTER, values).one_or_none() is not None


def record(
    session: Session, claim: Claim, to: AnalysisState, values: Mapping[str, Any], closing: CallEnd | None
) -> tuple[bool, bool]:
    """Close a call, and move its analysis with the usage of all its calls: whether each was done.

    Takes `attempts` as what is added to them, and `next_attempt_at` as a time from now. An answer is taken
    from whoever brings it, any other outcome only from the holder of the claim. The caller holds the lock of
    the analysis, for the sums are of this statement's snapshot.
    """
    given = {f"to_{name}": value for name, value in values.items()}
    given |= {"this_id": claim.id, "held_fence": claim.fence}
    if closing is None:
        statement = _recording(to, tuple(values), None, ())
    else:
        statement = _recording(to, tuple(values), closing.state, tuple(closing.values))
        given |= {f"call_{name}": value for name, value in closing.values.items()}
        given["this_call_id"] = closing.call_id
    was_closed, was_moved = session.execute(statement, given).one()
    return was_closed, was_moved


@cache
def _recording(
    to: AnalysisState, names: Sequence[str], call_to: CallState | None, call_names: Sequence[str]
) -> Any:
    this_id = bindparam("this_id", type_=Text)
    closed = _closing(call_to, call_names) if call_to else select(CALLS).where(false()).cte("closed")
    others = select(*(CALLS.c[name] for name in USAGE)).where(
        CALLS.c.analysis_id == this_id, CALLS.c.id.not_in(select(closed.c.id))
    )
    every = union_all(others, select(*(closed.c[name] for name in USAGE))).subquery()
    sums = (func.sum(every.c[name]).label(name) for name in USAGE)
    totals = select(this_id.label("id"), *sums).cte("totals")
    late = to == AnalysisState.COMPLETED
    moved = (
        update(ANALYSES)
        .where(ANALYSES.c.id == totals.c.id, analyses.may_become(to), *(() if late else (HELD,)))
        .values(analyses.becoming(to) | _given("to", ANALYSES, names))
        .values({name: totals.c[name] for name in USAGE})
        .returning(ANALYSES.c.id)
        .cte("moved")
    )
    return select(exists(select(closed.c.id)), exists(select(moved.c.id)))


def _closing(to: CallState, names: Sequence[str]) -> CTE:
    return (
        update(CALLS)
        .where(CALLS.c.id == bindparam("this_call_id"), calls.may_become(to))
        .values(calls.becoming(to) | _given("call", CALLS, names))
        .returning(CALLS.c.id, *(CALLS.c[name] for name in USAGE))
        .cte("closed")
    )


def _given(prefix: str, table: Table, names: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in names:
        kind = Interval() if name == "next_attempt_at" else table.c[name].type
        values[name] = bindparam(f"{prefix}_{name}", type_=kind)
    if "next_attempt_at" in values:
        values["next_attempt_at"] = func.now() + values["next_attempt_at"]
    if "attempts" in values:
        values["attempts"] = table.c.attempts + values["attempts"]
    return values

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

import psycopg
from psycopg.rows import class_row
from sqlalchemy import (
    CTE,
    BigInteger,
    Integer,
    Interval,
    Text,
    bindparam,
    cast,
    exists,
    false,
    func,
    insert,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Session

from core.db import Driver
from core.models import Analysis, AnalysisImage, Base, Batch, File
from core.prepared import Prepared
from core.states import FINAL, AnalysisState, BatchState, CallState
from core.store import analyses, budgets, calls, flights, outbox, reuse
from core.store.analyses import USAGE
from core.store.calls import CallEnd
from core.store.words import said

ANALYSES, IMAGES, CALLS = (Base.metadata.tables[name] for name in ("analyses", "analysis_images", "calls"))
LEASE_UNTIL = func.now() + bindparam("for_lease", type_=Interval)
HELD = ANALYSES.c.fence == bindparam("held_fence", type_=BigInteger)
OF_THE_ANALYSIS = {
    "analysis_id": "id",
    "account_id": "account_id",
    "key_id": "key_id",
    "batch_id": "batch_id",
    "fence": "fence",
    "model": "model",
    "preset": "preset",
    "request_id": "request_id",
}
"""Columns of a call, and those of the analysis that they are copied from."""
OF_THE_TOLD = ("id", "account_id", "batch_id")
"""Columns of an analysis by which those are found who want to be told of it."""

Shape = tuple[AnalysisState, Sequence[str], CallState | None, Sequence[str]]
"""An outcome's state and columns, and those of the call that it closes."""


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
    preset_id: str | None
    question: str | None
    context: str | None
    preset_options: dict[str, Any] | None
    response_format: dict[str, Any] | None
    require_quality: list[str] | None
    model: str
    stronger_model: str | None
    first_model: str | None
    max_tokens: int
    temperature: float
    detail: str
    streamed: bool
    max_image_tokens: int | None
    body: dict[str, Any] | None
    """The request of a chat, see core.services.chat; None for a question."""
    cache_seconds: int | None
    reuses_near: bool
    digests: Sequence[str | None]
    """SHA-256 of its images, in their order; None for those that are still to be fetched."""
    views: Sequence[str | None]
    """What each of them shows, where the client names it."""
    is_answered: bool
    """Whether another has the answer already."""


CLAIMED = tuple(name for name in Claim.__slots__ if name not in {"digests", "views", "is_answered"})
"""Of a claim, the columns of its row."""


def _taking() -> Any:
    batch_runs = exists().where(
        Batch.id == ANALYSES.c.batch_id,
        Batch.state == said(BatchState.RUNNING),
        Batch.needed_tokens.is_(None),
    )
    taken = (
        update(ANALYSES)
        .where(
            ANALYSES.c.id == bindparam("this_id"),
            analyses.may_become(AnalysisState.RUNNING),
            ANALYSES.c.next_attempt_at <= func.now(),
            ANALYSES.c.deadline_at > func.now(),
            ANALYSES.c.lease_expiries < bindparam("most_expiries", type_=Integer),
            or_(ANALYSES.c.batch_id.is_(None), batch_runs),
            ~flights.is_led(),
        )
        .values(
            state=said(AnalysisState.RUNNING),
            worker=bindparam("worker_name"),
            lease_until=LEASE_UNTIL,
            fence=ANALYSES.c.fence + 1,
            started_at=func.coalesce(ANALYSES.c.started_at, func.now()),
            follows=null(),
        )
        .returning(*(ANALYSES.c[name] for name in dict.fromkeys((*CLAIMED, *reuse.ASKED))))
        .cte("taken")
    )
    found = {"digests": File.digest, "views": AnalysisImage.view}
    columns = (
        func.coalesce(func.array_agg(aggregate_order_by(column, AnalysisImage.position)), []).label(name)
        for name, column in found.items()
    )
    images = (
        select(*columns)
        .select_from(AnalysisImage)
        .outerjoin(File, File.id == AnalysisImage.file_id)
        .where(AnalysisImage.analysis_id == taken.c.id)
        .lateral("images")
    )
    claim = (taken.c[name] for name in CLAIMED)
    answered = reuse.is_answered(taken).label("is_answered")
    # Named here already, for the compiler cannot meet an UPDATE for the first time within a subquery.
    claimed = select(*claim, images.c.digests, images.c.views, answered)
    return claimed.select_from(taken.join(images, true())).add_cte(taken)


def _entering() -> Any:
    held = (
        update(ANALYSES)
        .where(ANALYSES.c.id == bindparam("this_id"), ANALYSES.c.state == said(AnalysisState.RUNNING), HELD)
        .values(lease_until=LEASE_UNTIL)
        .returning(*(ANALYSES.c[name] for name in dict.fromkeys((*OF_THE_ANALYSIS.values(), *reuse.ASKED))))
        .cte("held")
    )
    reports = bindparam("reports", type_=Text)
    reported = (
        update(IMAGES)
        .where(IMAGES.c.analysis_id == held.c.id)
        .values(report=cast(reports, JSONB)[IMAGES.c.position])
        .cte("reported")
    )
    asking = select(held).where(~reuse.is_answered(held)).cte("asking")
    have_room, charged = budgets.setting_aside(asking)
    call = select(
        bindparam("new_call_id"),
        said(CallState.RESERVED),
        bindparam("worst_cost", type_=CALLS.c.reserved_cost.type),
        bindparam("worst_tokens", type_=CALLS.c.reserved_tokens.type),
        *(asking.c[name] for name in OF_THE_ANALYSIS.values()),
    ).where(have_room)
    names = ("id", "state", "reserved_cost", "reserved_tokens", *OF_THE_ANALYSIS)
    entered = insert(CALLS).from_select(names, call).returning(CALLS.c.id).cte("entered")
    is_held, is_asking = exists(select(held.c.id)), exists(select(asking.c.id))
    return select(is_held, ~is_asking, exists(select(entered.c.id))).add_cte(reported, charged)


TAKE = Prepared(_taking())
ENTER = Prepared(_entering())
FIRST_FENCE = 1
FIRST = ANALYSES.alias("a")
UNDISTURBED = (
    select(FIRST.c.id)
    .where(
        FIRST.c.id == bindparam("this_id", type_=Text),
        FIRST.c.state == said(AnalysisState.RUNNING),
        FIRST.c.fence == bindparam("held_fence", type_=BigInteger),
        ~FIRST.c.is_followed,
        ~outbox.wanted_for(FIRST.c),
    )
    .with_for_update()
    .cte("held")
)
"""An analysis that is locked, still held, and of no interest to others or to webhooks; a row or none."""


def take(
    driver: Driver, analysis_id: str, *, worker: str, lease: timedelta, expiries_below: int
) -> Claim | None:
    """Take the lease of a due row; None where it is not due, not queued, or someone else was first.

    That is also who asks the very same. Rows with more lapsed leases than `expiries_below` allows are left.
    """
    values = {
        "this_id": analysis_id,
        "worker_name": worker,
        "for_lease": lease,
        "most_expiries": expiries_below,
    }
    try:
        return TAKE.first(driver, values, class_row(Claim))
    except psycopg.IntegrityError:  # at the same moment, another that asks the same was taken
        return None


def waits_with_expiries(session: Session, analysis_id: str, at_least: int) -> bool:
    """Whether a row is queued and has seen so many leases lapse."""
    waiting = select(ANALYSES.c.id).where(
        ANALYSES.c.id == analysis_id,
        ANALYSES.c.state == AnalysisState.QUEUED,
        ANALYSES.c.lease_expiries >= at_least,
    )
    return session.execute(waiting).one_or_none() is not None


def silence(session: Session, analysis_id: str) -> None:
    """Forget the bell of a row that still waits."""
    session.execute(
        update(ANALYSES)
        .where(ANALYSES.c.id == analysis_id, ANALYSES.c.state == AnalysisState.QUEUED)
        .values(rung_at=None)
    )


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
    driver: Driver,
    claim: Claim,
    call_id: str,
    *,
    reserved_cost: Decimal | None,
    reserved_tokens: int,
    reports: Sequence[dict[str, Any]],
    lease: timedelta,
) -> tuple[bool, bool, bool]:
    """Enter a call of a claim, and keep what preparation did to each image.

    Whether the lease is held, whether another has the answer already, and whether the call is entered. Where
    only the first is so, a budget has no room for it.
    """
    values = {
        "this_id": claim.id,
        "held_fence": claim.fence,
        "for_lease": lease,
        "new_call_id": call_id,
        "worst_cost": reserved_cost,
        "worst_tokens": reserved_tokens,
        "reports": json.dumps(reports),
    }
    is_held, is_answered, is_entered = ENTER.one(driver, values)
    return is_held, is_answered, is_entered


def record(
    session: Session,
    claim: Claim,
    to: AnalysisState,
    values: Mapping[str, Any],
    closing: CallEnd | None,
) -> tuple[bool, bool, bool]:
    """Close a call, and move its analysis with the usage of all its calls: whether each was done.

    The third tells whether others wait for its answer.

    Takes `attempts` as what is added to them, and `next_attempt_at` as a time from now. An answer is taken
    from whoever brings it, any other outcome only from the holder of the claim. The caller holds the lock of
    the analysis, for the sums are of this statement's snapshot. Whoever wants to be told is told; to find out
    that nobody does costs no statement.
    """
    statement = _recording(*_shape(to, values, closing), alone=False)
    given = _parameters(claim, values, closing)
    was_closed, was_moved, is_wanted, is_followed = session.execute(statement, given).one()
    if is_wanted:
        outbox.tell_analyses(session, [claim.id])
    return was_closed, was_moved, is_followed


def record_alone(
    driver: Driver, claim: Claim, to: AnalysisState, values: Mapping[str, Any], closing: CallEnd
) -> bool:
    """Do all that `record` does by this one statement, or nothing at all; whether it was done.

    It can be done for a first claim that is still held, of which nobody wants to be told: no calls are there
    but the holder's own, made one after the other, so that no snapshot can miss a change to them.
    """
    if claim.fence != FIRST_FENCE:
        return False
    statement = _recording_alone(*_shape(to, values, closing))
    _, was_moved, *_ = statement.one(driver, _parameters(claim, values, closing))
    return bool(was_moved)


def _shape(to: AnalysisState, values: Mapping[str, Any], closing: CallEnd | None) -> Shape:
    """What tells one statement that records outcomes from another."""
    if closing is None:
        return to, tuple(values), None, ()
    return to, tuple(values), closing.state, tuple(closing.values)


def _parameters(claim: Claim, values: Mapping[str, Any], closing: CallEnd | None) -> dict[str, Any]:
    given = {f"to_{name}": value for name, value in values.items()}
    given |= {"this_id": claim.id, "held_fence": claim.fence}
    return given | calls.end_values(closing) if closing else given


@cache
def _recording_alone(
    to: AnalysisState, names: Sequence[str], call_to: CallState | None, call_names: Sequence[str]
) -> Prepared:
    return Prepared(_recording(to, names, call_to, call_names, alone=True))


@cache
def _recording(
    to: AnalysisState,
    names: Sequence[str],
    call_to: CallState | None,
    call_names: Sequence[str],
    *,
    alone: bool,
) -> Any:
    this_id = bindparam("this_id", type_=Text)
    nothing: tuple[CTE, list[CTE]] = (select(CALLS).where(false()).cte("closed"), [])
    # Its row is locked before its calls, here as everywhere: two orders would be a deadlock now and then.
    undisturbed = exists(select(outbox.ONE).select_from(UNDISTURBED))
    guard = (undisturbed,) if alone else ()
    closed, beside = calls.closing(call_to, call_names, *guard) if call_to else nothing
    other = CALLS.alias("c")
    others = select(*(other.c[name] for name in USAGE)).where(
        other.c.analysis_id == this_id, other.c.id.not_in(select(closed.c.id))
    )
    every = union_all(others, select(*(closed.c[name] for name in USAGE))).subquery("e")
    sums = (func.sum(every.c[name]).label(name) for name in USAGE)
    totals = select(this_id.label("id"), *sums).cte("totals")
    late = to == AnalysisState.COMPLETED
    free = late and call_to is None  # answered without a call, and so for nothing
    allowed = guard or (analyses.may_become(to), *(() if late else (HELD,)))
    moved = (
        update(ANALYSES)
        .where(ANALYSES.c.id == totals.c.id, *allowed)
        .values(analyses.becoming(to) | _given(names))
        .values({name: func.coalesce(totals.c[name], 0) if free else totals.c[name] for name in USAGE})
        .returning(*(ANALYSES.c[name] for name in (("id",) if alone else OF_THE_TOLD)))
        .cte("moved")
    )
    wanted = outbox.wanted_for(moved.c) if to in FINAL and not alone else false()
    follower = ANALYSES.alias("f")
    is_followed = exists(select(outbox.ONE).where(follower.c.follows == this_id))
    followed = is_followed if to in FINAL and not alone else false()
    was_closed, was_moved = (exists(select(outbox.ONE).select_from(done)) for done in (closed, moved))
    return select(was_closed, was_moved, wanted, followed).add_cte(*beside)


def _given(names: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in names:
        kind = Interval() if name == "next_attempt_at" else ANALYSES.c[name].type
        values[name] = bindparam(f"to_{name}", type_=kind)
    if "next_attempt_at" in values:
        values["next_attempt_at"] = func.now() + values["next_attempt_at"]
    if "attempts" in values:
        values["attempts"] = ANALYSES.c.attempts + values["attempts"]
    return values

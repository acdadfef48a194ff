"""What workers do with analyses: take one, enter a call into the books, and record one of its outcomes.

The two short transactions of an analysis are `claim`/`reserve` before the call and one of `succeed`, `fail`,
`retry` after it. State, usage, books and events commit together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

from core import metrics
from core.db import after_commit
from core.desk import Desk
from core.errors import BudgetExceeded, BudgetSetAside, Expired, VitrineError, WorkerCrash, WrongState
from core.ids import new_id
from core.pricing import Cost, Usage, WorstCase
from core.queue import Task
from core.services import batches, budgets, reuse
from core.states import FINAL, AnalysisState, CallState
from core.store import analyses, calls, claims, mending

Claim = claims.Claim

CLAIMS = 5
"""Times that a bell is tried: whoever it had to wait for may end before it could wait, and fails soon."""
LEASE_EXPIRIES = 3
"""Workers that one analysis may outlive; the last of them runs it alone."""
SET_ASIDE_SECONDS = 2.0
"""About as long as a call takes, after which its budget gets back what it did not use."""
RING_AGAIN_AFTER = timedelta(seconds=5)
"""Beside an empty queue; a row that waits there has lost its bell."""
RING_ANYHOW_AFTER = timedelta(seconds=60)
"""Beside a queue that never empties: its bell may still be in it, or not."""
RING_AT_ONCE = 1_000
EXPIRE_AT_ONCE = 5_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said, once it was found fit; fields are columns of the analysis."""

    answer: str
    data: Any | None
    confidence: float | None
    finish_reason: str | None
    reply: Any | None = None
    """All that the endpoint said, where it is a chat's."""


class Closing(calls.CallEnd):
    """How a call ended, for the books; made by one of its three constructors."""

    __slots__ = ()

    @classmethod
    def settled(cls, call_id: str, usage: Usage, cost: Cost | None, upstream_id: str | None) -> Closing:
        """It was answered: the usage is known, and the cost where the model has a price."""
        prompt, completion = (cost.prompt, cost.completion) if cost else (None, None)
        costs = {"prompt_cost": prompt, "completion_cost": completion, "upstream_id": upstream_id}
        return cls(call_id, CallState.SETTLED, asdict(usage) | costs)

    def noting(self, **values: Any) -> Closing:
        """The same with more columns."""
        return replace(self, values={**self.values, **values})

    @classmethod
    def refused(cls, call_id: str, error: VitrineError) -> Closing:
        """It was turned away, or never left: it costs nothing."""
        return cls(call_id, CallState.REFUSED, {"error_code": error.code})

    @classmethod
    def unknown(cls, call_id: str, error: VitrineError) -> Closing:
        """Nobody knows what it cost: the worst case stands."""
        return cls(call_id, CallState.UNKNOWN, {"error_code": error.code})


def claim(desk: Desk, analysis_id: str, worker: str, *, last_try: bool = False) -> Claim | None:
    """Take the lease of an analysis; None where there is nothing to do for this bell.

    One that fails if its worker dies once more is left, but for who asks for a `last_try`; one that asks the
    same as another that is running has to wait for it.
    """
    below = LEASE_EXPIRIES if last_try else LEASE_EXPIRIES - 1
    for _ in range(CLAIMS):
        with desk.database.driver() as driver:
            claimed = claims.take(
                driver, analysis_id, worker=worker, lease=_lease(desk), expiries_below=below
            )
        if claimed is not None or reuse.settle_one(desk, analysis_id):
            return claimed
    return None


def waits_for_last_try(desk: Desk, analysis_id: str) -> bool:
    """Whether an analysis that was not claimed has to be tried for the last time."""
    with desk.database.transaction() as session:
        return claims.waits_with_expiries(session, analysis_id, LEASE_EXPIRIES - 1)


def pass_on(desk: Desk, analysis_id: str) -> None:
    """Leave a bell to others: what it rang for, if that still waits, is rung for again."""
    with desk.database.transaction() as session:
        claims.silence(session, analysis_id)


def renew(desk: Desk, held: Mapping[str, int]) -> set[str]:
    """Keep the leases of these claims (id to fence); the ids that are still held."""
    with desk.database.transaction() as session:
        return claims.renew(session, held, _lease(desk))


def reserve(desk: Desk, claimed: Claim, worst: WorstCase, reports: Sequence[dict[str, Any]]) -> str:
    """Enter a call into the books before it is made, and set its worst case aside in its budgets; its id.

    The lease is renewed on the way: nobody pays for work that is no longer theirs. Raises WrongState where it
    is lost, Answered where another like it was answered meanwhile, BudgetExceeded, or InvalidRequest for a
    model whose cost no budget can bound.
    """
    call_id = new_id("call")
    with desk.database.driver() as driver:
        is_held, is_answered, is_entered = claims.enter_call(
            driver,
            claimed,
            call_id,
            reserved_cost=worst.cost,
            reserved_tokens=worst.tokens,
            reports=reports,
            lease=_lease(desk),
        )
    if not is_held:
        raise WrongState(f"Analysis {claimed.id} is no longer this worker's.")
    if is_answered:
        raise reuse.Answered
    if is_entered:
        return call_id
    owners = [claimed.key_id, *([claimed.batch_id] if claimed.batch_id else [])]
    problem = budgets.why_not(desk, owners, claimed.model, worst)
    budgets.tell_exceeded(desk, claimed.account_id, owners, problem)
    if claimed.batch_id and isinstance(problem, BudgetExceeded):
        batches.hold(desk, claimed.batch_id, worst, problem)
    raise problem


def close(desk: Desk, claimed: Claim, closing: Closing) -> None:
    """Close a call whose answer did not end the analysis, such as the first of two."""
    with desk.database.transaction() as session:
        analyses.lock(session, claimed.id)
        if not calls.move(session, closing):
            log.info("call_closed_before", call_id=closing.call_id, as_state=closing.state)
        analyses.sum_usage(session, [claimed.id])


def escalate(desk: Desk, claimed: Claim, closing: Closing, why: str) -> None:
    """Close the call to the first model of a cascade, and go on with the stronger one.

    Raises WrongState where the analysis is no longer this worker's.
    """
    with desk.database.transaction() as session:
        analyses.lock(session, claimed.id)
        calls.move(session, closing)
        analyses.sum_usage(session, [claimed.id])
        held = analyses.escalate(session, claimed.id, claimed.fence, why)
    if not held:
        raise WrongState(f"Analysis {claimed.id} is no longer this worker's.")


def succeed(desk: Desk, claimed: Claim, answer: Answer, closing: Closing | None) -> None:
    """Record an answer, also one that comes after its lease. A row that is final keeps its state.

    There is no call to close where it was measured and not asked for.
    """
    values = asdict(answer) | {"reason": None}
    _record(desk, claimed, AnalysisState.COMPLETED, closing, values)


def fail(
    desk: Desk,
    claimed: Claim,
    error: VitrineError,
    closing: Closing | None,
    *,
    received: str | None = None,
    reply: Any | None = None,
) -> None:
    """Give an analysis up; what was received or measured stays with it, or in what words it was refused."""
    values = {
        "error_code": error.code,
        "error_message": error.message,
        "answer": received,
        "data": error.details.get("data"),
        "reply": reply,
    }
    _record(desk, claimed, AnalysisState.FAILED, closing, values)


def retry(
    desk: Desk,
    claimed: Claim,
    error: VitrineError,
    closing: Closing | None,
    *,
    seconds: float,
    counts: bool,
) -> None:
    """Put an analysis back for a later try; waiting out a rate limit does not count as one."""
    values = {
        "lease_until": None,
        "next_attempt_at": timedelta(seconds=seconds),
        "rung_at": None,
        "reason": error.message,
    }
    _record(desk, claimed, AnalysisState.QUEUED, closing, values, counts=counts)
    metrics.RETRIES.labels(error.code).inc()


def unpaid(desk: Desk, claimed: Claim, error: BudgetExceeded) -> None:
    """A budget had no room for the call: an item waits with its batch, what somebody waits for fails.

    It does not fail for what is only set aside, for some of that comes back.
    """
    if claimed.batch_id is not None:
        retry(desk, claimed, error, None, seconds=0, counts=False)
    elif isinstance(error, BudgetSetAside):
        retry(desk, claimed, error, None, seconds=SET_ASIDE_SECONDS, counts=False)
    else:
        fail(desk, claimed, error, None)


def release(desk: Desk, claimed: Claim, why: str) -> None:
    """Put an analysis that nothing was asked for back at once, as if it had not been taken."""
    values = {"lease_until": None, "next_attempt_at": timedelta(0), "rung_at": None, "reason": why}
    _record(desk, claimed, AnalysisState.QUEUED, None, values, counts=False)


def sweep(desk: Desk, *, bells_waiting: int | None) -> list[str]:
    """Mend what time broke: dead leases, passed deadlines, lost bells. The ids that were rung again.

    `bells_waiting` is the length of the queue: rows that wait beside an empty queue have lost their bells.
    None means that Redis does not answer, when ringing is of no use.
    """
    stale = RING_AGAIN_AFTER if bells_waiting == 0 else RING_ANYHOW_AFTER
    longest = timedelta(seconds=desk.settings.call_timeout) + _lease(desk)
    with desk.database.driver() as driver:
        if not mending.is_needed(driver, stale=stale, longest=longest):
            return []
    due = _mend(desk, longest, None if bells_waiting is None else stale)
    desk.doorbell.ring(Task.ANALYZE, due)
    return due


def _mend(desk: Desk, longest: timedelta, stale: timedelta | None) -> list[str]:
    """Mend what is to be mended; the ids of those whose bells are `stale`, now marked as rung again."""
    crash, late = WorkerCrash(), Expired()
    with desk.database.transaction() as session:
        lapsed = analyses.lapse(
            session, limit=LEASE_EXPIRIES, error_code=crash.code, error_message=crash.message
        )
        expired = {"error_code": late.code, "error_message": late.message}
        overdue = [
            row
            for some in (analyses.overdue(EXPIRE_AT_ONCE), analyses.overdue_items(EXPIRE_AT_ONCE))
            for row in analyses.move(session, AnalysisState.EXPIRED, some, **expired)
        ]
        gone = [row.id for row in (*lapsed, *overdue)]
        calls.give_up(session, gone)
        orphans = calls.give_up_orphans(session, longest)
        analyses.sum_usage(session, [*gone, *orphans])
        for row in (*lapsed, *overdue):
            log.warning("swept", analysis_id=row.id, state=row.state, lease_expiries=row.lease_expiries)
            if row.state in FINAL:
                desk.events.tell_after_commit(session, row.id, row.state)
                metrics.ended_after_commit(session, row.state, row.error_code)
        after_commit(session, lambda: metrics.LEASES_SWEPT.inc(len(lapsed)))
        reuse.mend(session)
        return [] if stale is None else analyses.unrung(session, stale=stale, limit=RING_AT_ONCE)


def _lease(desk: Desk) -> timedelta:
    return timedelta(seconds=desk.settings.worker_lease)


def _record(
    desk: Desk,
    claimed: Claim,
    to: AnalysisState,
    closing: Closing | None,
    values: dict[str, Any],
    *,
    counts: bool = True,
) -> None:
    """Close the call and move the analysis in one transaction.

    Where the row is no longer ours to move (cancelled, swept, expired), the books are kept all the same.
    """
    values["attempts"] = 1 if counts else 0
    moved = _recorded_alone(desk, claimed, to, closing, values) or _recorded(
        desk, claimed, to, closing, values
    )
    if not moved:
        log.info("outcome_came_too_late", analysis_id=claimed.id, outcome=to)
    elif to in FINAL:
        desk.events.tell(claimed.batch_id or claimed.id, to)
        metrics.ended(to, values.get("error_code"))


def _recorded_alone(
    desk: Desk, claimed: Claim, to: AnalysisState, closing: Closing | None, values: Mapping[str, Any]
) -> bool:
    """Whether it could be done by a single statement, as it mostly can."""
    if closing is None:
        return False
    with desk.database.driver() as driver:
        return claims.record_alone(driver, claimed, to, values, closing)


def _recorded(
    desk: Desk, claimed: Claim, to: AnalysisState, closing: Closing | None, values: Mapping[str, Any]
) -> bool:
    """Do it under the lock of the analysis, whatever happened to that; whether it was moved."""
    with desk.database.transaction() as session:
        # The analysis before its calls, as the sweep does: two orders would be a deadlock now and then.
        analyses.lock(session, claimed.id)
        if closing is None and to == AnalysisState.FAILED:
            calls.give_up(session, [claimed.id])  # a call that broke before anyone could close it
        closed, moved, followed = claims.record(session, claimed, to, values, closing)
        if closing is not None and not closed:
            log.info("call_closed_before", call_id=closing.call_id, as_state=closing.state)
        if not moved:
            if claimed.streamed:
                analyses.keep_text(session, claimed.id, values.get("answer"))
            analyses.sum_usage(session, [claimed.id])
        elif followed:
            reuse.let_followers_go(desk, session, claimed.id, to)
    return moved

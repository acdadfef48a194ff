"""Outcomes on their way into the database: what was paid for is written, however long Postgres is away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import structlog

from core.desk import Desk
from core.errors import BudgetExceeded, QuotaExhausted, Unavailable, VitrineError
from core.services import outcomes, pausing, reuse
from core.services.outcomes import Claim
from worker.ended import Ended

MOST_ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
RECORD_SECONDS, RECORD_PAUSE = 120.0, 1.0

log = structlog.get_logger(__name__)


def record(write: Callable[[], None]) -> None:
    """Write an outcome; while Postgres is away keep trying, for it may be paid and late is accepted."""
    end = time.monotonic() + RECORD_SECONDS
    while True:
        try:
            return write()
        except Unavailable:
            if time.monotonic() > end:
                log.exception("outcome_lost")  # the sweep will find the lease dead
                return None
            time.sleep(RECORD_PAUSE)


def give_back_unpaid(desk: Desk, claimed: Claim, error: BudgetExceeded) -> None:
    """Record that nothing was asked, for a budget is used up."""
    log.info("call_unpaid", why=error.message)
    try:
        record(lambda: outcomes.unpaid(desk, claimed, error))
    except Exception:
        log.exception("outcome_broke")


def give_earlier(desk: Desk, claimed: Claim) -> None:
    """Record the answer that another like it has; where that was deleted meanwhile, it has to be asked."""
    try:
        if reuse.give(desk, claimed):
            log.info("analysis_reused", model=claimed.model)
        else:
            outcomes.release(desk, claimed, "the answer of another was deleted")
    except Unavailable:
        log.warning("reuse_failed")  # the lease runs out


def release(desk: Desk, claimed: Claim) -> None:
    """Give back at once what nothing was asked for."""
    try:
        outcomes.release(desk, claimed, "its worker stopped")
    except Unavailable:
        log.warning("release_failed")  # the lease runs out


def give_back(desk: Desk, claimed: Claim, end: Ended) -> None:
    """Record an end; if even that breaks, the lease runs out and the sweep takes over."""
    try:
        _record_end(desk, claimed, end)
    except Exception:
        log.exception("outcome_broke")


def _record_end(desk: Desk, claimed: Claim, end: Ended) -> None:
    """Another try later where that makes sense and tries are left, else a failure."""
    tries = claimed.attempts + 1
    tell = log.warning if end.counts else log.info  # waiting is no news
    tell("analysis_ended", error=end.error.code, why=end.error.message, again=end.again, tries=tries)
    if isinstance(end.error, QuotaExhausted) and claimed.batch_id is not None:
        record(lambda: pausing.pause_for(desk, claimed, end.error, end.closing))
    elif end.again and (tries < MOST_ATTEMPTS or not end.counts):
        seconds = _pause(end.error, claimed.fence)
        record(
            lambda: outcomes.retry(desk, claimed, end.error, end.closing, seconds=seconds, counts=end.counts)
        )
    else:
        record(
            lambda: outcomes.fail(
                desk,
                claimed,
                end.error,
                end.closing,
                received=end.received,
                reply=end.refusal,
            )
        )


def _pause(error: VitrineError, claims: int) -> float:
    """Seconds until the next try: what the endpoint asked for, else a random part of a doubling wait.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if error.retry_after is not None:
        return error.retry_after
    return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (min(claims, 10) - 1)))  # noqa: S311  (no secret hangs on it)

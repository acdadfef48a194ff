"""Whether time broke anything that the sweep mends: one look, made once, nearly always in vain."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Interval, bindparam, exists, or_, select

from core.db import Driver
from core.prepared import Prepared
from core.store import analyses, calls, flights
from core.store.batch_items import any_open

ANYTHING = Prepared(
    select(
        or_(
            exists().where(analyses.DEAD),
            exists().where(analyses.OVERDUE),
            exists().where(analyses.OVERDUE_BATCH, any_open()),
            exists().where(calls.orphaned(bindparam("longest", type_=Interval))),
            exists().where(flights.ABANDONED),
            exists().where(analyses.UNRUNG),
        )
    )
)


def is_needed(driver: Driver, *, stale: timedelta, longest: timedelta) -> bool:
    """Whether there is a dead lease, a passed deadline, a waiter in vain, or a lost bell or call.

    A bell is lost when it is as old as `stale`, a call that nobody holds when it is as old as `longest`.
    """
    return ANYTHING.holds(driver, {"stale": stale, "longest": longest})

"""What an account used, by hour or day: read from the books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest
from core.store import usage

USUAL_SPAN = {"hour": timedelta(hours=24), "day": timedelta(days=30)}
GROUPS = tuple(usage.GROUPS)
LONGEST_SPAN = {"hour": timedelta(days=31), "day": timedelta(days=366)}
PAGE = 1_000

Group = dict[str, Any]
"""Its start and names, and the sums over its calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which calls, and how they are summed: those from `since` to before `until`."""

    account_id: str
    since: datetime
    until: datetime
    interval: str
    group_by: Sequence[str]
    after: Sequence[object] | None = None
    """The `start` and names of the group that the page before ended with."""


def question(
    account_id: str,
    *,
    since: datetime | None,
    until: datetime | None,
    interval: str,
    group_by: Sequence[str],
) -> Question:
    """A question with its gaps filled: up to now, the usual span. Raises InvalidRequest for a bad span."""
    until = until or datetime.now(UTC)
    since = since or _floor(until - USUAL_SPAN[interval], interval)
    if since >= until:
        raise InvalidRequest("from must be before to.", details={"field": "from"})
    if until - since > (longest := LONGEST_SPAN[interval]) + timedelta(days=1):
        raise InvalidRequest(
            f"By the {interval}, from and to may be at most {longest.days} days apart.",
            details={"field": "from"},
        )
    return Question(account_id=account_id, since=since, until=until, interval=interval, group_by=group_by)


def page(desk: Desk, asked: Question, limit: int) -> tuple[list[Group], bool]:
    """Up to `limit` groups in the order of time and names, and whether there are more."""
    with desk.database.transaction() as session:
        rows = usage.page(
            session,
            asked.account_id,
            since=asked.since,
            until=asked.until,
            interval=asked.interval,
            group_by=asked.group_by,
            after=asked.after,
            limit=limit + 1,
        )
    return rows[:limit], len(rows) > limit


def everything(desk: Desk, asked: Question) -> Iterator[Group]:
    """Every group, page by page: flat in memory, and no transaction while a client reads."""
    more = True
    while more:
        rows, more = page(desk, asked, PAGE)
        yield from rows
        if rows:
            asked = replace(asked, after=[rows[-1][name] for name in ("start", *asked.group_by)])


def _floor(moment: datetime, interval: str) -> datetime:
    whole = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return whole.replace(hour=0) if interval == "day" else whole

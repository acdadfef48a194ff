"""Where the books, the items and the endpoint's own ledger do not agree; each question is one statement.

A statement sees the database at one moment, so work that goes on meanwhile makes no differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Integer,
    MetaData,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.orm import Session, aliased

from core.models import Analysis, Call, Reuse
from core.states import AnalysisState, CallState
from core.store import budgets, calls
from core.store.analyses import USAGE

AT_ONCE = 1_000
Query = Select[*tuple[Any, ...]]
SEEN = Table(
    "seen",
    MetaData(),
    Column("upstream_id", String, index=True),
    Column("request_id", String),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("at", DateTime(timezone=True)),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
"""The calls that an endpoint saw, for the length of a transaction."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows are looked at; None for all."""

    account_id: str | None = None
    since: datetime | None = None

    def holds(self, model: type[Analysis | Call]) -> ColumnElement[bool]:
        """Whether a row is one of them."""
        account = () if self.account_id is None else (model.account_id == self.account_id,)
        return and_(True, *account, *(() if self.since is None else (model.created_at >= self.since,)))


def read(session: Session, query: Query) -> Iterator[RowMapping]:
    """The rows of a query as they come, a thousand in memory; it may take its time."""
    session.execute(text("SET LOCAL statement_timeout = 0"))
    yield from session.execute(query.execution_options(yield_per=AT_ONCE)).mappings()


def wrong_usage(scope: Scope) -> Query:
    """Analyses whose usage is not the sum of their calls: the usage, and the sum as `books_…`.

    Where no call tells any it may also be 0.
    """
    sums = (
        select(Call.analysis_id, *(func.sum(getattr(Call, name)).label(name) for name in USAGE))
        .where(scope.holds(Call))
        .group_by(Call.analysis_id)
        .subquery()
    )
    theirs = [getattr(Analysis, name) for name in USAGE]
    ours = [sums.c[name] for name in USAGE]
    free = and_(*(column.is_(None) for column in ours), *(func.coalesce(column, 0) == 0 for column in theirs))
    named = [column.label(f"books_{column.name}") for column in ours]
    return (
        select(Analysis.id, *theirs, *named)
        .outerjoin(sums, sums.c.analysis_id == Analysis.id)
        .where(scope.holds(Analysis), tuple_(*theirs).is_distinct_from(tuple_(*ours)), ~free)
        .order_by(Analysis.id)
    )


def unpaid_answers(scope: Scope, measured: Sequence[str]) -> Query:
    """Completed analyses for which no call was answered, nor the answer of another given again.

    Presets that are built in and `measured` ask nobody.
    """
    paid = exists().where(Call.analysis_id == Analysis.id, Call.state == CallState.SETTLED)
    completed = (Analysis.state == AnalysisState.COMPLETED, Analysis.cached_from.is_(None))
    asked = or_(Analysis.preset.not_in(measured), Analysis.preset_id.is_not(None))
    return select(Analysis.id).where(scope.holds(Analysis), *completed, ~paid, asked).order_by(Analysis.id)


def strange_reuses(scope: Scope) -> Query:
    """Analyses with the answer of one that is another account's, asked something else, or was not paid for.

    Also those of which the books of what was not paid do not tell. A source that was deleted tells nothing.
    """
    source = aliased(Analysis)
    entered = exists().where(Reuse.analysis_id == Analysis.id, Reuse.source_id == Analysis.cached_from)
    same = and_(source.account_id == Analysis.account_id, source.fingerprint == Analysis.fingerprint)
    sound = and_(same, source.state == AnalysisState.COMPLETED, source.cached_from.is_(None))
    return (
        select(Analysis.id, Analysis.cached_from)
        .outerjoin(source, source.id == Analysis.cached_from)
        .where(scope.holds(Analysis), Analysis.cached_from.is_not(None))
        .where(or_(~entered, and_(source.id.is_not(None), sound.is_not(True))))
        .order_by(Analysis.id)
    )


def forgotten_calls(scope: Scope, age: timedelta) -> Query:
    """Open calls older than any may be, behind which no lease stands."""
    query = select(Call.id, Call.created_at)
    return query.where(scope.holds(Call), calls.orphaned(age)).order_by(Call.id)


def strange_calls(scope: Scope) -> Query:
    """Calls that were entered for another account, key or batch than that of their analysis."""
    of = (Call.account_id, Call.key_id, Call.batch_id)
    theirs = (Analysis.account_id, Analysis.key_id, Analysis.batch_id)
    query = select(Call.id, Call.analysis_id)
    return (
        query.join(Analysis, Analysis.id == Call.analysis_id)
        .where(scope.holds(Call), tuple_(*of).is_distinct_from(tuple_(*theirs)))
        .order_by(Call.id)
    )


def wrong_budgets(scope: Scope) -> Query:
    """Budgets of which not that is used which the books say."""
    return budgets.wrong_sums(scope.account_id)


def keep_seen(session: Session, ledger: Iterable[Mapping[str, Any]]) -> None:
    """Keep what an endpoint saw until the commit, for the questions below."""
    SEEN.create(session.connection())
    driver: Any = session.connection().connection.driver_connection
    names = [column.name for column in SEEN.columns]
    with driver.cursor() as cursor, cursor.copy(f"COPY seen ({', '.join(names)}) FROM STDIN") as copy:
        for entry in ledger:
            copy.write_row([entry[name] for name in names])
    session.execute(text("ANALYZE seen"))


def never_seen(scope: Scope) -> Query:
    """Answered calls that the endpoint does not know, since the first that it knows.

    Only those that were answered before its ledger was read.
    """
    known = exists().where(SEEN.c.upstream_id == Call.upstream_id)
    first = select(func.min(SEEN.c.at)).scalar_subquery()
    settled = (Call.state == CallState.SETTLED, Call.finished_at < func.now(), Call.created_at >= first)
    query = select(Call.id, Call.analysis_id, Call.upstream_id)
    return query.where(scope.holds(Call), *settled, ~known).order_by(Call.id)


def not_in_the_books(scope: Scope) -> Query:
    """Requests for which the endpoint saw more calls than are in the books, with both numbers.

    Answers that were received have the endpoint's id; what else it saw is counted against calls of the same
    request that have none. All accounts count, for the endpoint does not know them.
    """
    answered = exists().where(Call.upstream_id == SEEN.c.upstream_id)
    since = () if scope.since is None else (SEEN.c.at >= scope.since,)
    seen = (
        select(SEEN.c.request_id, func.count().label("seen"))
        .where(~answered, *since)
        .group_by(SEEN.c.request_id)
        .subquery()
    )
    ours = (
        select(Call.request_id, func.count().label("books"))
        .where(Call.upstream_id.is_(None), Call.request_id.in_(select(seen.c.request_id)))
        .group_by(Call.request_id)
        .subquery()
    )
    books = func.coalesce(ours.c.books, 0)
    return (
        select(seen.c.request_id, seen.c.seen, books.label("books"))
        .outerjoin(ours, ours.c.request_id == seen.c.request_id)
        .where(seen.c.seen > books)
        .order_by(seen.c.request_id)
    )


def other_tokens(scope: Scope) -> Query:
    """Answered calls of which the endpoint counted other tokens."""
    ours = (Call.prompt_tokens, Call.completion_tokens)
    theirs = (SEEN.c.prompt_tokens, SEEN.c.completion_tokens)
    named = [column.label(f"seen_{column.name}") for column in theirs]
    return (
        select(Call.id, *ours, *named)
        .join(SEEN, SEEN.c.upstream_id == Call.upstream_id)
        .where(scope.holds(Call), Call.state == CallState.SETTLED)
        .where(tuple_(*ours).is_distinct_from(tuple_(*theirs)))
        .order_by(Call.id)
    )

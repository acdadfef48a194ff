"""Budgets: set aside before a call, given back as it closes, in the statements that enter and close it.

At any moment `used` is the sum over the books of what the calls of the period take: an open or unanswered one
its worst case, any other what it cost. So only an answer, or a refusal, ever changes what is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Select,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import ApiKey, Base, Batch, Budget, BudgetKind
from core.models.usage import Money
from core.states import CallState
from core.store.words import one_of, said

BUDGETS, CALLS = (Base.metadata.tables[name] for name in ("budgets", "calls"))
WORST_STANDS = (CallState.RESERVED, CallState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Spending:
    """How a budget stands in its present period."""

    owner_id: str
    kind: BudgetKind
    most: Decimal
    used: Decimal
    reserved: Decimal
    """The part of `used` that calls on their way have set aside, most of which comes back."""
    resets_at: datetime | None

    @property
    def spent(self) -> Decimal:
        """What is gone for good."""
        return self.used - self.reserved


MONTHLY, DAILY, UTC = said(BudgetKind.MONTHLY_USD), said(BudgetKind.DAILY_TOKENS), said("UTC")
FOR_EVER: ColumnElement[date] = literal_column("DATE '0001-01-01'", Date)
NOTHING: ColumnElement[int] = literal_column("0", Integer)


def period_of(kind: Any, moment: Any) -> ColumnElement[date]:
    """The first day of the period that a moment is in, in UTC."""
    utc = func.timezone(UTC, moment)
    month = cast(func.date_trunc(said("month"), utc), Date)
    return case((kind == MONTHLY, month), (kind == DAILY, cast(utc, Date)), else_=FOR_EVER)


def taken(kind: Any, call: Any) -> ColumnElement[Decimal]:
    """What a call of the books takes of a budget of this kind."""
    figure = case((one_of(call.state, WORST_STANDS), _worst(kind, call)), else_=_actual(kind, call))
    return func.coalesce(figure, NOTHING)


PERIOD = period_of(BUDGETS.c.kind, func.now())
USED = case((BUDGETS.c.period == PERIOD, BUDGETS.c.used), else_=NOTHING)
"""What is used in the present period; a row from an earlier one has yet to begin anew."""


def setting_aside(call: CTE) -> tuple[ColumnElement[bool], CTE]:
    """Whether all budgets of a call about to be entered have room for its worst case, and what takes it then.

    `call` has a `key_id` and a `batch_id`; the worst case is in the parameters `worst_tokens` and
    `worst_cost`, which is NULL where nobody knows.
    """
    tokens, cost = bindparam("worst_tokens", type_=Integer), bindparam("worst_cost", type_=Money)
    kind, period = BUDGETS.c.kind, period_of(BUDGETS.c.kind, func.now())
    used = case((BUDGETS.c.period == period, BUDGETS.c.used), else_=NOTHING) + _by_kind(kind, tokens, cost)
    fits = and_(BUDGETS.c.period <= period, used <= BUDGETS.c.most)
    limited = _limited(call, period.label("period"), used.label("used"), fits.label("fits"))
    have_room = ~exists(select(NOTHING).where(limited.c.fits.is_not(true())))
    charged = (
        update(BUDGETS)
        .where(_same(limited), have_room)
        .values(used=limited.c.used, period=limited.c.period)
        .cte("charged")
    )
    return have_room, charged


def giving_back(closed: CTE) -> CTE:
    """Give back what a call had set aside and did not take; `closed` is its row, now settled or refused.

    What it took of an earlier period is history.
    """
    kind = BUDGETS.c.kind
    took, worst = (func.coalesce(of(kind, closed.c), NOTHING) for of in (_actual, _worst))
    period, change = period_of(kind, closed.c.created_at), took - worst
    limited = _limited(closed, period.label("period"), change.label("change"))
    return (
        update(BUDGETS)
        .where(_same(limited), BUDGETS.c.period == limited.c.period)
        .values(used=BUDGETS.c.used + limited.c.change)
        .cte("given_back")
    )


def allow(session: Session, owner_id: str, kind: BudgetKind, most: Decimal) -> None:
    """Give a budget to who has made no calls yet."""
    session.execute(insert(BUDGETS).values(owner_id=owner_id, kind=kind, most=most))


def change(
    session: Session, account_id: str, owner_id: str, limits: Mapping[BudgetKind, Decimal | None]
) -> None:
    """Raise, lower, remove or add budgets of a key or batch; a new one begins with what the books say.

    None removes one. Comes before anything else that locks budgets or calls in its transaction.
    """
    there = set(session.scalars(select(BUDGETS.c.kind).where(BUDGETS.c.owner_id == owner_id)))
    if any(most is not None and kind not in there for kind, most in limits.items()):
        # While nobody writes to the books, no call is left out of the sum, and none counted twice.
        session.execute(text("LOCK TABLE calls IN SHARE MODE"))
    for kind, most in sorted(limits.items()):  # as calls lock them
        this = (BUDGETS.c.owner_id == owner_id, BUDGETS.c.kind == kind)
        if most is None:
            session.execute(delete(BUDGETS).where(*this))
        elif kind in there:
            session.execute(update(BUDGETS).where(*this).values(most=most))
        else:
            _begin(session, account_id, owner_id, kind, most)


def spendings(session: Session, owner_ids: Sequence[str]) -> list[Spending]:
    """The budgets of these keys and batches, as they stand now."""
    kind = BUDGETS.c.kind
    month, day = (func.date_trunc(unit, func.now(), "UTC") for unit in ("month", "day"))
    resets_at = case(
        (kind == BudgetKind.MONTHLY_USD, month + text("interval '1 month'")),
        (kind == BudgetKind.DAILY_TOKENS, day + text("interval '1 day'")),
    )
    query = select(BUDGETS.c.owner_id, kind, BUDGETS.c.most, USED, _reserved(), resets_at).where(
        BUDGETS.c.owner_id.in_(owner_ids)
    )
    return [Spending(row[0], BudgetKind(row[1]), *row[2:]) for row in session.execute(query.order_by(kind))]


def caps(session: Session, batch_ids: Sequence[str]) -> dict[str, Decimal]:
    """What these batches may cost, where there is a limit to that."""
    query = select(Budget.owner_id, Budget.most).where(
        Budget.owner_id.in_(batch_ids), Budget.kind == BudgetKind.MAX_COST
    )
    return {row.owner_id: row.most for row in session.execute(query)}


def remove(session: Session, owner_id: str) -> None:
    """Remove the budgets of who is removed."""
    session.execute(delete(BUDGETS).where(BUDGETS.c.owner_id == owner_id))


def room_for_waiting() -> ColumnElement[bool]:
    """Whether all budgets of a batch that waits for them have room for its call."""
    return and_(Batch.needed_tokens.is_not(None), ~_short(USED))


def waits_in_vain() -> ColumnElement[bool]:
    """Whether a batch waits for a budget that will have no room, whatever comes back of what is set aside."""
    return and_(Batch.needed_tokens.is_not(None), _short(USED - _reserved()))


def wrong_sums(account_id: str | None = None) -> Select[Any]:
    """Budgets that are not what the books say, with what those say (`told`); of an account, or of all."""
    since = func.timezone(UTC, cast(BUDGETS.c.period, DateTime))
    takings = union_all(
        *(
            select(BUDGETS.c.owner_id, BUDGETS.c.kind, taken(BUDGETS.c.kind, CALLS.c).label("taken"))
            .join(CALLS, owner == BUDGETS.c.owner_id)
            .where(CALLS.c.created_at >= since)
            for owner in (CALLS.c.key_id, CALLS.c.batch_id)
        )
    ).subquery()
    sums = (
        select(takings.c.owner_id, takings.c.kind, func.sum(takings.c.taken).label("told"))
        .group_by(takings.c.owner_id, takings.c.kind)
        .subquery()
    )
    told = func.coalesce(sums.c.told, 0)
    owners = union_all(*(select(row.id).where(row.account_id == account_id) for row in (ApiKey, Batch)))
    return (
        select(BUDGETS.c.owner_id, BUDGETS.c.kind, BUDGETS.c.used, told.label("told"))
        .outerjoin(sums, _same(sums))
        .where(BUDGETS.c.period == PERIOD, BUDGETS.c.used != told)
        .where(true() if account_id is None else BUDGETS.c.owner_id.in_(owners))
    )


def _begin(session: Session, account_id: str, owner_id: str, kind: BudgetKind, most: Decimal) -> None:
    period = period_of(said(kind), func.clock_timestamp())  # now() is from before the lock was had
    since = func.timezone(UTC, cast(period, DateTime))
    used = select(func.coalesce(func.sum(taken(said(kind), CALLS.c)), 0)).where(
        CALLS.c.account_id == account_id, _whose(owner_id), CALLS.c.created_at >= since
    )
    row = insert(BUDGETS).values(
        owner_id=owner_id, kind=kind, most=most, used=used.scalar_subquery(), period=period
    )
    # Another operator may have been first, while this one waited for the lock.
    session.execute(row.on_conflict_do_update(index_elements=["owner_id", "kind"], set_={"most": most}))


def _reserved() -> ColumnElement[Decimal]:
    """The part of what is used that calls on their way have set aside."""
    kind = BUDGETS.c.kind
    on_their_way = (CALLS.c.state == CallState.RESERVED, _whose(BUDGETS.c.owner_id))
    return (
        select(func.coalesce(func.sum(taken(kind, CALLS.c)), 0))
        .where(*on_their_way, period_of(kind, CALLS.c.created_at) == PERIOD)
        .correlate(BUDGETS)
        .scalar_subquery()
    )


def _short(used: ColumnElement[Decimal]) -> ColumnElement[bool]:
    """Whether any budget of a batch has no room for the call that it waits for."""
    needed = _by_kind(BUDGETS.c.kind, Batch.needed_tokens, Batch.needed_cost)
    of_batch = BUDGETS.c.owner_id.in_((Batch.key_id, Batch.id))
    return select(BUDGETS.c.kind).where(of_batch, used + needed > BUDGETS.c.most).correlate(Batch).exists()


def _limited(call: CTE, *columns: Any) -> CTE:
    """The budgets of a call, locked, with more columns: as those who held them before have left them.

    They are locked in one order, so that no two calls wait for each other.
    """
    kind = BUDGETS.c.kind
    return (
        select(BUDGETS.c.owner_id, kind, *columns)
        .join(call, BUDGETS.c.owner_id.in_((call.c.key_id, call.c.batch_id)))
        .order_by(BUDGETS.c.owner_id, kind)
        .with_for_update(of=BUDGETS, key_share=True)
        .cte("limited")
    )


def _same(limited: FromClause) -> ColumnElement[bool]:
    return and_(BUDGETS.c.owner_id == limited.c.owner_id, BUDGETS.c.kind == limited.c.kind)


def _whose(owner_id: Any) -> ColumnElement[bool]:
    return or_(CALLS.c.key_id == owner_id, CALLS.c.batch_id == owner_id)


def _worst(kind: Any, call: Any) -> ColumnElement[Decimal]:
    return _by_kind(kind, call.reserved_tokens, call.reserved_cost)


def _actual(kind: Any, call: Any) -> ColumnElement[Decimal]:
    tokens, cost = call.prompt_tokens + call.completion_tokens, call.prompt_cost + call.completion_cost
    return _by_kind(kind, tokens, cost)


def _by_kind(kind: Any, tokens: Any, cost: Any) -> ColumnElement[Decimal]:
    return case((kind == DAILY, cast(tokens, Numeric)), else_=cost)

"""Events into the outbox: written where states move, in the same transaction, as one INSERT … SELECT.

Nothing is written where nobody wants to be told. Payloads (core.store.payloads) say how things are at this
moment, whatever becomes of them until they arrive. Which deliveries are rung for is in core.store.lanes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    FromClause,
    Insert,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from core.db import Driver
from core.ids import ALPHABET
from core.models import Analysis, Base, Batch
from core.prepared import Prepared
from core.states import FINAL, AnalysisState, BatchState
from core.store import payloads
from core.store.words import said

WEBHOOKS, DELIVERIES, ANALYSES, BUDGETS = (
    Base.metadata.tables[name] for name in ("webhooks", "deliveries", "analyses", "budgets")
)
MILLISECONDS = "(extract(epoch FROM now()) * 1000)::bigint"
TIME = " || ".join(
    f"substr('{ALPHABET}', (({MILLISECONDS} >> {shift}) & 31)::int + 1, 1)" for shift in range(45, -1, -5)
)
NEW_ID: ColumnElement[str] = literal_column(
    f"'evt_' || {TIME} || right(replace(gen_random_uuid()::text, '-', ''), 16)", Text
)
"""What core.ids makes, for as many rows as there are; hexadecimal digits are letters of that alphabet."""
ONE: ColumnElement[int] = literal_column("1")
ACTIVE = WEBHOOKS.c.disabled_at.is_(None)
COLUMNS = ("id", "webhook_id", "account_id", "lane", "type", "subject_id", "payload")


def wanted_for(analysis: Any) -> ColumnElement[bool]:
    """Whether anybody may want to be told of the analysis that has these columns: short, for workers."""
    return exists(select(ONE).where(_hears_of_analysis(analysis, WEBHOOKS.alias("w"))))


def tell_analyses(session: Session, ids: Sequence[str]) -> None:
    """Tell that these analyses are final."""
    session.execute(ANALYSES_TOLD, {"ids": list(ids)})


def tell_batches(session: Session, ids: Sequence[str]) -> None:
    """Tell the states of these batches."""
    session.execute(BATCHES_TOLD, {"ids": list(ids)})


def any_followed(driver: Driver) -> bool:
    """Whether somebody follows a batch of which there may be progress to tell."""
    return ANY_FOLLOWED.holds(driver)


def tell_progress(session: Session) -> int:
    """Tell of running batches that another quarter of their items is final; of how many."""
    reached = session.execute(QUARTERS).all()
    if reached:
        session.execute(PROGRESS_TOLD, {"ids": [row.id for row in reached]})
    return len(reached)


def tell_budget(
    session: Session, account_id: str, owner_ids: Sequence[str], kind: str, payload: Mapping[str, Any]
) -> None:
    """Tell that a budget is used up: once in each period, and again where a higher limit is reached."""
    told = tuple_(BUDGETS.c.told_most, BUDGETS.c.told_period)
    now = tuple_(BUDGETS.c.most, BUDGETS.c.period)
    news = (
        update(BUDGETS)
        .where(BUDGETS.c.owner_id.in_(owner_ids), BUDGETS.c.kind == kind, told.is_distinct_from(now))
        .values(told_most=BUDGETS.c.most, told_period=BUDGETS.c.period)
        .returning(BUDGETS.c.owner_id)
    )
    for owner_id in session.scalars(news).all():
        tell(session, account_id, "budget.exceeded", owner_id, {"id": owner_id, **payload})


def tell(session: Session, account_id: str, event: str, subject_id: str, payload: Mapping[str, Any]) -> None:
    """Tell the account's standing webhooks that want it of an event."""
    hears = and_(WEBHOOKS.c.owner_id == account_id, ACTIVE, _wants(literal(event)))
    session.execute(_deliveries_of(_given(event, subject_id, payload).where(hears)))


def send(session: Session, webhook_id: str, event: str, payload: Mapping[str, Any]) -> str:
    """Send an event to one webhook, whatever it wants; the delivery's id."""
    this = WEBHOOKS.c.id == webhook_id
    row = _deliveries_of(_given(event, webhook_id, payload).where(this))
    return str(session.execute(row.returning(DELIVERIES.c.id)).scalar_one())


def _given(event: str, subject_id: str, payload: Mapping[str, Any]) -> Select[Any]:
    told = cast(literal(json.dumps(payload), Text), JSON)
    return select(*_to_webhook(), literal(event), literal(subject_id), told)


def _deliveries_of(told: Select[Any]) -> Insert:
    """Store what is told; a webhook that is being removed meanwhile is waited for, and then left out."""
    return insert(DELIVERIES).from_select(
        COLUMNS, told.with_for_update(read=True, key_share=True, of=WEBHOOKS)
    )


def _to_webhook() -> tuple[ColumnElement[Any], ...]:
    return NEW_ID.label("id"), WEBHOOKS.c.id.label("webhook_id"), WEBHOOKS.c.account_id, WEBHOOKS.c.lane


def _wants(event: ColumnElement[str]) -> ColumnElement[bool]:
    return event == any_(WEBHOOKS.c.events)


def _hears_of_analysis(analysis: Any, webhook: FromClause = WEBHOOKS) -> ColumnElement[bool]:
    """Whether a webhook hears of an analysis: its own, or a standing one, which has to ask for items."""
    alone = or_(analysis.batch_id.is_(None), webhook.c.batch_items)
    mine = webhook.c.owner_id.in_((analysis.account_id, analysis.id))
    return and_(mine, webhook.c.disabled_at.is_(None), alone)


def _of_analyses() -> Any:
    """Tell of the analyses `ids`."""
    event = said("analysis.") + Analysis.state
    told = (
        select(*_to_webhook(), event, Analysis.id, payloads.of_analysis())
        .join(WEBHOOKS, and_(_hears_of_analysis(Analysis), _wants(event)))
        .where(Analysis.id == any_(bindparam("ids")), Analysis.state.in_(FINAL))
    )
    return _deliveries_of(told)


def _of_batches(event: ColumnElement[str]) -> Any:
    """Tell an event of the batches `ids`, with their counts."""
    payload, counts = payloads.of_batch()
    hears = and_(WEBHOOKS.c.owner_id.in_((Batch.account_id, Batch.id)), ACTIVE, _wants(event))
    told = (
        select(*_to_webhook(), event, Batch.id, payload)
        .join(WEBHOOKS, hears)
        .join(counts, literal_column("true"))
        .where(Batch.id == any_(bindparam("ids")))
    )
    return _deliveries_of(told)


def _is_followed() -> ColumnElement[bool]:
    """Whether somebody wants to be told of a batch's progress, of which there may be more."""
    hears = WEBHOOKS.c.owner_id.in_((Batch.account_id, Batch.id))
    follower = select(ONE).where(hears, ACTIVE, _wants(said("batch.progress")))
    runs = Batch.state == said(BatchState.RUNNING)
    return and_(Batch.finished_at.is_(None), runs, Batch.told_quarters < 3, exists(follower))


def _quarters() -> Any:
    """Move on what was told of running batches that somebody follows, where a quarter more is done."""
    left = (
        select(func.count())
        .where(
            Analysis.batch_id == Batch.id, Analysis.state.in_((AnalysisState.QUEUED, AnalysisState.RUNNING))
        )
        .scalar_subquery()
    )
    reached: CTE = (
        select(Batch.id, ((Batch.total - left) * 4 // Batch.total).label("quarters"))
        .where(_is_followed())
        .cte("reached")
    )
    return (
        update(Batch)
        .where(
            Batch.id == reached.c.id,
            Batch.state == BatchState.RUNNING,
            reached.c.quarters > Batch.told_quarters,
            reached.c.quarters < 4,
        )
        .values(told_quarters=reached.c.quarters)
        .returning(Batch.id)
        .execution_options(synchronize_session=False)
    )


ANALYSES_TOLD = _of_analyses()
BATCHES_TOLD = _of_batches(said("batch.") + Batch.state)
PROGRESS_TOLD = _of_batches(said("batch.progress"))
QUARTERS = _quarters()
ANY_FOLLOWED = Prepared(select(exists().where(_is_followed())))

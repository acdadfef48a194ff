"""Answers that are given again: statements without entities, made once. Who waits for one: see flights.

Partial indexes are found by states that stand in the statement itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.models import Base
from core.states import AnalysisState, BatchState, CallState
from core.store.analyses import USAGE, becoming
from core.store.words import said

ANALYSES, BATCHES, CALLS, REUSES = (
    Base.metadata.tables[name] for name in ("analyses", "batches", "calls", "reuses")
)
ONE: ColumnElement[int] = literal_column("1")
ZERO: ColumnElement[int] = literal_column("0")
SECOND: ColumnElement[Any] = literal_column("interval '1 second'")
AT_ONCE = 500
"""Followers that are answered by the transaction in which their leader ends."""
COPIED = (
    "answer",
    "data",
    "reply",
    "confidence",
    "finish_reason",
    "model",
    "stronger_model",
    "first_model",
    "escalation",
)
"""What an answer is: columns that are given on."""
ASKED = ("account_id", "fingerprint", "created_at", "cache_seconds")
"""Columns of a question by which its answer is found."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A row that has got the answer of another."""

    id: str
    batch_id: str | None
    saved_cost: Decimal | None


def _answers(source: Any, asked: Any) -> tuple[ColumnElement[bool], ...]:
    """Whether a row answers a question, which is a row with the columns ASKED.

    It was paid for by the same account, and its work had begun no longer before the question came than that
    allows. An item of a batch that was deleted is nobody's any more, although its row may still be there.
    """
    gone = exists(select(ONE).where(BATCHES.c.id == source.batch_id, BATCHES.c.deleted_at.is_not(None)))
    return (
        source.fingerprint == asked.fingerprint,
        source.state == said(AnalysisState.COMPLETED),
        source.cached_from.is_(None),
        # So that no index serves it, for fingerprints of two accounts differ: as long as Postgres knows
        # nothing of a table, it may go through all rows of the account for each question.
        source.account_id.is_not_distinct_from(asked.account_id),
        source.started_at >= asked.created_at - asked.cache_seconds * SECOND,
        ~gone,
    )


def is_answered(asked: FromClause) -> ColumnElement[bool]:
    """Whether there is an answer to the row of a CTE."""
    source = ANALYSES.alias("source")
    return finds(select(ONE).where(*_answers(source.c, asked.c)).correlate(asked))


def finds(rows: Select[Any]) -> ColumnElement[bool]:
    """Whether there are such rows, looked up for the row beside them.

    EXISTS may be made a join instead, or a table of all that could be found, however many those are.
    """
    return rows.limit(1).scalar_subquery().is_not(None)


def _latest_answer() -> FromClause:
    """The id of the answer that the row beside it takes, or no row."""
    source = ANALYSES.alias("s")
    fitting = select(source.c.id).where(*_answers(source.c, ANALYSES.c))
    return fitting.order_by(source.c.started_at.desc()).limit(1).lateral("found")


def _settling(*which: ColumnElement[bool], most: int | None = None) -> Any:
    """Complete some rows with the answers that are there already, and enter what that saved."""
    found, source = _latest_answer(), ANALYSES.alias("s")
    runs = exists(
        select(ONE).where(BATCHES.c.id == ANALYSES.c.batch_id, BATCHES.c.state == said(BatchState.RUNNING))
    )
    due = (
        select(ANALYSES.c.id, found.c.id.label("source_id"))
        .join_from(ANALYSES, found, true())
        .where(*which, ANALYSES.c.deadline_at > func.now(), or_(ANALYSES.c.batch_id.is_(None), runs))
        .with_for_update(of=ANALYSES, skip_locked=True)
        .limit(most)
        .cte("due")
    )
    moved = (
        update(ANALYSES)
        .where(ANALYSES.c.id == due.c.id, source.c.id == due.c.source_id)
        .values(becoming(AnalysisState.COMPLETED) | _given(source.c))
        .returning(*(ANALYSES.c[name] for name in ("id", *KEPT)), due.c.source_id, _paid_for(source))
        .cte("moved")
    )
    names = ("analysis_id", *KEPT, "source_id", "saved_cost")
    kept = insert(REUSES).from_select(names, select(moved)).cte("kept")
    return select(moved.c.id, moved.c.batch_id, moved.c.cost).add_cte(kept)


def _paid_for(source: FromClause) -> ColumnElement[Any]:
    """What an answer took in USD: without calls that were lost, whose worst case its bill has."""
    paid = select(func.sum(CALLS.c.prompt_cost + CALLS.c.completion_cost))
    settled = CALLS.c.state == said(CallState.SETTLED)
    return paid.where(CALLS.c.analysis_id == source.c.id, settled).scalar_subquery().label("cost")


def _given(source: Any) -> dict[str, Any]:
    """What a row gets from the one that was paid for: all but its bill, which is that of its own calls."""
    uncalled = and_(ANALYSES.c.prompt_tokens.is_(None), ANALYSES.c.prompt_cost.is_(None))
    own = {name: case((uncalled, ZERO), else_=ANALYSES.c[name]) for name in USAGE}
    return {
        **{name: source[name] for name in COPIED},
        **own,
        "reason": null(),
        "cached_from": source.id,
        "first_cost": case((source.first_model.is_not(None), ZERO)),
        "started_at": func.coalesce(ANALYSES.c.started_at, func.now()),
    }


KEPT = ("account_id", "key_id", "batch_id", "preset", "model")
THESE = ANALYSES.c.id == any_(bindparam("ids", type_=ARRAY(Text)))
QUEUED = ANALYSES.c.state == said(AnalysisState.QUEUED)
HELD = and_(
    ANALYSES.c.id == bindparam("this_id"),
    ANALYSES.c.fence == bindparam("held_fence", type_=BigInteger),
    ANALYSES.c.state == said(AnalysisState.RUNNING),
)
FOLLOWING = and_(ANALYSES.c.follows == any_(bindparam("ids", type_=ARRAY(Text))), QUEUED)
SETTLE_WAITING = _settling(THESE, QUEUED)
SETTLE_HELD = _settling(HELD)
SETTLE_FOLLOWERS = _settling(FOLLOWING, most=AT_ONCE)


ASK_AS = (
    update(ANALYSES)
    .where(HELD)
    .values(
        fingerprint=bindparam("new_fingerprint", type_=ANALYSES.c.fingerprint.type),
        reused_distance=bindparam("bits", type_=ANALYSES.c.reused_distance.type),
        is_alone=true(),  # whoever asks the same as the earlier one need not wait for this
    )
)


def ask_as(session: Session, analysis_id: str, fence: int, fingerprint: bytes, distance: int) -> None:
    """Let the row of a claim ask what another asked, so many bits away. Settle it then, or roll back."""
    values = {"this_id": analysis_id, "held_fence": fence, "new_fingerprint": fingerprint, "bits": distance}
    session.execute(ASK_AS, values)


def _among() -> Any:
    asked = (
        select(
            ANALYSES.c.account_id,
            ANALYSES.c.created_at,
            ANALYSES.c.cache_seconds,
            func.unnest(bindparam("prints", type_=ARRAY(LargeBinary))).label("fingerprint"),
        )
        .where(ANALYSES.c.id == bindparam("this_id"))
        .cte("asked")
    )
    return select(asked.c.fingerprint).where(is_answered(asked))


AMONG = _among()


def answered_among(session: Session, analysis_id: str, fingerprints: Sequence[bytes]) -> list[bytes]:
    """Those of these fingerprints to which there is an answer that is young enough for the row."""
    found = session.scalars(AMONG, {"this_id": analysis_id, "prints": list(fingerprints)})
    return [bytes(each) for each in found]


def _answered() -> Any:
    prints, ages = bindparam("prints", type_=ARRAY(LargeBinary)), bindparam("ages", type_=ARRAY(Integer))
    pairs = func.unnest(prints, ages).table_valued(
        column("fingerprint", LargeBinary), column("cache_seconds", Integer), name="pairs"
    )
    pairs = pairs.render_derived()
    asked = select(
        bindparam("account", type_=Text).label("account_id"),
        func.now().label("created_at"),
        pairs.c.fingerprint,
        pairs.c.cache_seconds,
    ).cte("asked")
    return select(asked.c.fingerprint, asked.c.cache_seconds).where(is_answered(asked))


ANSWERED = _answered()


def answered(
    session: Session, account_id: str, asked: Collection[tuple[bytes, int]]
) -> set[tuple[bytes, int]]:
    """Those of these questions, as (fingerprint, seconds that an answer may be old), that have an answer."""
    values = {"prints": [each[0] for each in asked], "ages": [each[1] for each in asked]}
    found = session.execute(ANSWERED, {"account": account_id, **values})
    return {(bytes(fingerprint), age) for fingerprint, age in found}


def settle_waiting(session: Session, ids: Sequence[str]) -> list[Settled]:
    """Complete those of these waiting rows that have an answer already."""
    return _settled(session, SETTLE_WAITING, {"ids": list(ids)})


def settle_followers(session: Session, ids: Sequence[str]) -> list[Settled]:
    """The same for some of the rows that follow these."""
    return _settled(session, SETTLE_FOLLOWERS, {"ids": list(ids)})


def settle_held(session: Session, analysis_id: str, fence: int) -> list[Settled]:
    """The same for the row of a claim."""
    return _settled(session, SETTLE_HELD, {"this_id": analysis_id, "held_fence": fence})


def _settled(session: Session, statement: Any, values: dict[str, Any]) -> list[Settled]:
    return [Settled(*row) for row in session.execute(statement, values)]

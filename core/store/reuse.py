"""Answers that are given again, and who waits for whom; statements without entities, made once.

Of rows with one fingerprint, one at most is running (the unique index `uq_analyses_leading`): it leads, and
the others follow it. Partial indexes are found by states that stand in the statement itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Text,
    and_,
    any_,
    bindparam,
    case,
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
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.models import Base
from core.states import AnalysisState, BatchState
from core.store.analyses import USAGE, becoming

ANALYSES, BATCHES, REUSES = (Base.metadata.tables[name] for name in ("analyses", "batches", "reuses"))
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


def _is(column: ColumnElement[Any], state: AnalysisState | BatchState) -> ColumnElement[bool]:
    return column == literal_column(f"'{state}'", Text)


def _answers(source: Any, asked: Any) -> tuple[ColumnElement[bool], ...]:
    """Whether a row answers a question, which is a row with the columns ASKED.

    It was paid for by the same account, and its work had begun no longer before the question came than that
    allows. An item of a batch that was deleted is nobody's any more, although its row may still be there.
    """
    gone = exists(select(ONE).where(BATCHES.c.id == source.batch_id, BATCHES.c.deleted_at.is_not(None)))
    return (
        source.fingerprint == asked.fingerprint,
        _is(source.state, AnalysisState.COMPLETED),
        source.cached_from.is_(None),
        source.account_id == asked.account_id,
        source.started_at >= asked.created_at - asked.cache_seconds * SECOND,
        ~gone,
    )


def is_answered(asked: FromClause) -> ColumnElement[bool]:
    """Whether there is an answer to the row of a CTE."""
    source = ANALYSES.alias("source")
    return exists(select(ONE).where(*_answers(source.c, asked.c)).correlate(asked))


def _latest_answer() -> FromClause:
    """The id of the answer that the row beside it takes, or no row."""
    source = ANALYSES.alias("s")
    fitting = select(source.c.id).where(*_answers(source.c, ANALYSES.c))
    return fitting.order_by(source.c.started_at.desc()).limit(1).lateral("found")


def is_led() -> ColumnElement[bool]:
    """Whether another row that asks the very same is running; one that is alone does not care."""
    twin = ANALYSES.alias("twin")
    found = exists(select(ONE).where(twin.c.fingerprint == ANALYSES.c.fingerprint, *_leads(twin)))
    return and_(~ANALYSES.c.is_alone, found)


def _leads(row: Any) -> tuple[ColumnElement[bool], ...]:
    """Whether a row is in the index of those that lead."""
    return _is(row.c.state, AnalysisState.RUNNING), row.c.fingerprint.is_not(None), ~row.c.is_alone


def _settling(*which: ColumnElement[bool], most: int | None = None) -> Any:
    """Complete some rows with the answers that are there already, and enter what that saved."""
    found, source = _latest_answer(), ANALYSES.alias("s")
    runs = exists(
        select(ONE).where(BATCHES.c.id == ANALYSES.c.batch_id, _is(BATCHES.c.state, BatchState.RUNNING))
    )
    due = (
        select(ANALYSES.c.id, found.c.id.label("source_id"))
        .join_from(ANALYSES, found, true())
        .where(*which, ANALYSES.c.deadline_at > func.now(), or_(ANALYSES.c.batch_id.is_(None), runs))
        .with_for_update(of=ANALYSES, skip_locked=True)
        .limit(most)
        .cte("due")
    )
    cost = (source.c.prompt_cost + source.c.completion_cost).label("cost")
    moved = (
        update(ANALYSES)
        .where(ANALYSES.c.id == due.c.id, source.c.id == due.c.source_id)
        .values(becoming(AnalysisState.COMPLETED) | _given(source.c))
        .returning(*(ANALYSES.c[name] for name in ("id", *KEPT)), due.c.source_id, cost)
        .cte("moved")
    )
    names = ("analysis_id", *KEPT, "source_id", "saved_cost")
    kept = insert(REUSES).from_select(names, select(moved)).cte("kept")
    return select(moved.c.id, moved.c.batch_id, moved.c.cost).add_cte(kept)


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
QUEUED = _is(ANALYSES.c.state, AnalysisState.QUEUED)
HELD = and_(
    ANALYSES.c.id == bindparam("this_id"),
    ANALYSES.c.fence == bindparam("held_fence", type_=BigInteger),
    _is(ANALYSES.c.state, AnalysisState.RUNNING),
)
FOLLOWING = and_(ANALYSES.c.follows == any_(bindparam("ids", type_=ARRAY(Text))), QUEUED)
SETTLE_WAITING = _settling(THESE, QUEUED)
SETTLE_HELD = _settling(HELD)
SETTLE_FOLLOWERS = _settling(FOLLOWING, most=AT_ONCE)


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


def _following() -> Any:
    """Let waiting rows wait for those that ask the same: to their deadline, unless they are let go before.

    Who leads is locked, and so cannot end unseen before its followers are committed.
    """
    mine = (
        select(ANALYSES.c.id, ANALYSES.c.fingerprint)
        .where(THESE, QUEUED, ANALYSES.c.fingerprint.is_not(None), ~ANALYSES.c.is_alone)
        .with_for_update(skip_locked=True)
        .cte("mine")
    )
    leader = ANALYSES.alias("leader")
    leading = (
        select(leader.c.id, leader.c.fingerprint)
        .where(leader.c.fingerprint.in_(select(mine.c.fingerprint)), *_leads(leader))
        .order_by(leader.c.id)
        .with_for_update(read=True)
        .cte("leading")
    )
    return (
        update(ANALYSES)
        .where(ANALYSES.c.id == mine.c.id, mine.c.fingerprint == leading.c.fingerprint)
        .values(
            follows=leading.c.id,
            reason=func.concat("waits for ", leading.c.id, ", which asks the same"),
            next_attempt_at=ANALYSES.c.deadline_at,
            rung_at=null(),
        )
        .returning(ANALYSES.c.id)
    )


def _letting_go(*which: ColumnElement[bool]) -> Any:
    """Let rows wait no longer; their ids, and the batch of each."""
    free = select(ANALYSES.c.id).where(QUEUED, *which).with_for_update(skip_locked=True)
    return (
        update(ANALYSES)
        .where(ANALYSES.c.id.in_(free))
        .values(follows=null(), reason=null(), next_attempt_at=func.now(), rung_at=null())
        .returning(ANALYSES.c.id, ANALYSES.c.batch_id)
    )


def _abandoned() -> ColumnElement[bool]:
    """Whether the row that a row follows neither runs nor will run soon."""
    leader = ANALYSES.alias("leader")
    runs = exists(
        select(ONE).where(
            BATCHES.c.id == leader.c.batch_id,
            _is(BATCHES.c.state, BatchState.RUNNING),
            BATCHES.c.needed_tokens.is_(None),
        )
    )
    will_run = and_(_is(leader.c.state, AnalysisState.QUEUED), or_(leader.c.batch_id.is_(None), runs))
    leads = or_(_is(leader.c.state, AnalysisState.RUNNING), will_run)
    return ~exists(select(ONE).where(leader.c.id == ANALYSES.c.follows, leads))


FOLLOW = _following()
LET_GO = _letting_go(FOLLOWING)
LET_GO_ABANDONED = _letting_go(ANALYSES.c.follows.is_not(None), _abandoned())
NEW_FINGERPRINT = {"fingerprint": bindparam("new_fingerprint", type_=ANALYSES.c.fingerprint.type)}
STEP_BACK = (
    update(ANALYSES)
    .where(HELD)
    .values(NEW_FINGERPRINT)
    .values(state=AnalysisState.QUEUED, lease_until=null(), next_attempt_at=func.now(), rung_at=null())
)
LEADS, LED, ANSWERED = "leads", "led", "answered"
"""How a row stands that has got its fingerprint: it is asked, or another like it is, or was."""


def _identifying() -> Any:
    named = update(ANALYSES).where(HELD).values(NEW_FINGERPRINT)
    named_row = named.returning(*(ANALYSES.c[name] for name in ASKED)).cte("named")
    return select(is_answered(named_row)).select_from(named_row).add_cte(named_row)


IDENTIFY = _identifying()


def follow(session: Session, ids: Sequence[str]) -> set[str]:
    """Let waiting rows wait for running ones that ask the same; those that do now."""
    return set(session.scalars(FOLLOW, {"ids": list(ids)}))


def let_go(session: Session, ids: Sequence[str], *, alone: bool) -> list[str]:
    """Let the followers of these rows wait no longer; those of them that are no items of batches.

    Where they are to go `alone`, they neither lead nor follow any more.
    """
    statement = LET_GO.values(is_alone=true()) if alone else LET_GO
    return [row.id for row in session.execute(statement, {"ids": list(ids)}) if row.batch_id is None]


def let_abandoned_go(session: Session) -> int:
    """Let rows go whose leader ended unseen, or waits itself with a batch that is held; how many."""
    return len(session.execute(LET_GO_ABANDONED).all())


def identify(connection: Connection, analysis_id: str, fence: int, fingerprint: bytes) -> str | None:
    """Give a claimed row its fingerprint: how it stands then, or None where the claim is lost."""
    values = {"this_id": analysis_id, "held_fence": fence, "new_fingerprint": fingerprint}
    try:
        answered = connection.execute(IDENTIFY, values).scalar_one_or_none()
    except IntegrityError:
        return LED
    return answered if answered is None else ANSWERED if answered else LEADS


def step_back(connection: Connection, analysis_id: str, fence: int, fingerprint: bytes) -> None:
    """Put a claimed row back with its fingerprint, as if it had not been taken."""
    values = {"this_id": analysis_id, "held_fence": fence, "new_fingerprint": fingerprint}
    connection.execute(STEP_BACK, values)

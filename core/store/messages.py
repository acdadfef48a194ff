"""Messages of sessions, each with the analysis of its turn: two queries, however many are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, case, select
from sqlalchemy.orm import Session, joinedload

from core.models import Analysis, AnalysisImage, ChatSession, Message
from core.states import FINAL, AnalysisState

ASSISTANT = "assistant"
CALLS = Analysis.reply[("choices", "0", "message", "tool_calls")]


@dataclass(slots=True)
class Spoken:
    """A message with the analysis of its turn."""

    message: Message
    analysis: Analysis
    calls: Any
    """Tool calls of an assistant's message as the endpoint made them."""
    images: list[AnalysisImage] = field(default_factory=list)
    """The message's own, in their order."""


def add_turn(session: Session, of: ChatSession, analysis_id: str, said: Sequence[Message]) -> None:
    """Store the messages of a turn behind all others of a session that the caller holds."""
    for sequence, message in enumerate(said, of.last_sequence + 1):
        message.session_id, message.analysis_id, message.sequence = of.id, analysis_id, sequence
    of.last_sequence += len(said)
    session.add_all(said)
    session.flush()


def open_turn(session: Session, session_id: str) -> str | None:
    """The analysis that a session waits for; only the last one can be open."""
    query = (
        select(Analysis.id, Analysis.state)
        .join(Message, Message.analysis_id == Analysis.id)
        .where(Message.session_id == session_id)
        .order_by(Message.sequence.desc())
        .limit(1)
    )
    last = session.execute(query).one_or_none()
    return last.id if last is not None and last.state not in FINAL else None


def session_of(session: Session, analysis_id: str) -> str | None:
    """The session that an analysis is a turn of."""
    query = select(Message.session_id).where(Message.analysis_id == analysis_id).limit(1)
    return session.scalars(query).one_or_none()


def of_turn(session: Session, account_id: str, analysis_id: str) -> Spoken | None:
    """The assistant's message of a turn; None where the analysis is none."""
    query = _spoken().where(
        Message.analysis_id == analysis_id, Message.role == ASSISTANT, Analysis.account_id == account_id
    )
    return next(iter(_read(session, query)), None)


def page(
    session: Session, session_id: str, *, behind: int | None, limit: int, newest: bool
) -> tuple[list[Spoken], bool]:
    """Up to `limit` messages behind a sequence, the oldest (or newest) first; whether there are more."""
    query = _spoken().where(Message.session_id == session_id)
    if behind is not None:
        query = query.where(Message.sequence < behind if newest else Message.sequence > behind)
    query = query.order_by(Message.sequence.desc() if newest else Message.sequence).limit(limit + 1)
    rows = _read(session, query)
    return _with_images(session, rows[:limit]), len(rows) > limit


def answered(session: Session, session_id: str, limit: int) -> list[Spoken]:
    """The last messages of turns that were answered, in their order."""
    query = _spoken().where(Message.session_id == session_id, Analysis.state == AnalysisState.COMPLETED)
    rows = _read(session, query.order_by(Message.sequence.desc()).limit(limit))
    return _with_images(session, rows[::-1])


def _spoken() -> Select[Any]:
    calls = case((Message.role == ASSISTANT, CALLS))
    return select(Message, Analysis, calls).join(Analysis, Analysis.id == Message.analysis_id)


def _read(session: Session, query: Select[Any]) -> list[Spoken]:
    return [Spoken(*row) for row in session.execute(query)]


def _with_images(session: Session, rows: list[Spoken]) -> list[Spoken]:
    spoken = {each.message.id: each for each in rows}
    shown = [each.message.id for each in spoken.values() if each.message.first_image is not None]
    own = and_(
        AnalysisImage.analysis_id == Message.analysis_id, AnalysisImage.position >= Message.first_image
    )
    query = select(Message.id, AnalysisImage).join(AnalysisImage, own).where(Message.id.in_(shown))
    query = query.order_by(AnalysisImage.position).options(joinedload(AnalysisImage.file))
    for message_id, image in session.execute(query) if shown else ():
        spoken[message_id].images.append(image)
    return rows

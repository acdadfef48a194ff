"""Sessions: used, listed, hidden and removed."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import (
    ColumnElement,
    Interval,
    Select,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from core.db import Driver
from core.errors import NotFound
from core.models import Analysis, ChatSession, Message
from core.prepared import Prepared
from core.states import FINAL
from core.store.pages import newest_first

SEEN = ChatSession.deleted_at.is_(None)
HIDDEN = ChatSession.deleted_at.is_not(None)
LONG_AGO = func.now() - bindparam("timeout", type_=Interval)
ANY_GONE = Prepared(
    select(or_(exists().where(HIDDEN), exists().where(SEEN, ChatSession.last_used_at <= LONG_AGO)))
)


def add(session: Session, row: ChatSession) -> None:
    """Store a new session."""
    session.add(row)
    session.flush()
    session.refresh(row)


def use(session: Session, account_id: str, session_id: str, timeout: timedelta) -> ChatSession:
    """A session of the account, which counts as used just now, and is held until the commit.

    Raises NotFound, also for another account's, and for one that was not used for as long as `timeout`.
    """
    this = (ChatSession.account_id == account_id, ChatSession.id == session_id, *_alive(timeout))
    used = update(ChatSession).where(*this).values(last_used_at=func.now()).returning(ChatSession)
    found = session.scalars(used.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        hours = timeout.total_seconds() / 3600
        raise NotFound(
            f"There is no session {session_id!r}: sessions go when they are deleted, or not used for"
            f" {hours:g} hours. Begin a new one."
        )
    return found


def owned(session: Session, account_id: str, session_id: str) -> ChatSession | None:
    """A session of the account, whenever it was used last."""
    query = select(ChatSession).where(ChatSession.account_id == account_id, ChatSession.id == session_id)
    return session.scalars(query).one_or_none()


def page(
    session: Session, account_id: str, timeout: timedelta, *, before: str | None, limit: int
) -> tuple[list[ChatSession], bool]:
    """Up to `limit` sessions of the account, the newest first; whether there are more."""
    query = select(ChatSession).where(ChatSession.account_id == account_id, *_alive(timeout))
    return newest_first(session, query, ChatSession.id, before=before, limit=limit)


def hide(session: Session, session_id: str) -> None:
    """Let a session be gone for everyone."""
    gone = update(ChatSession).where(ChatSession.id == session_id, SEEN).values(deleted_at=func.now())
    session.execute(gone)


def any_gone(driver: Driver, timeout: timedelta) -> bool:
    """Whether `hide_unused`, `turns_of_hidden` or `remove_emptied` may find any."""
    return ANY_GONE.holds(driver, {"timeout": timeout})


def hide_unused(session: Session, timeout: timedelta, limit: int) -> int:
    """Let some sessions that were not used for so long be gone for everyone; how many."""
    unused = (SEEN, ChatSession.last_used_at <= func.now() - timeout)
    some = (
        select(ChatSession.id).where(*unused).limit(limit).with_for_update(skip_locked=True, key_share=True)
    )
    hidden = update(ChatSession).where(ChatSession.id.in_(some), *unused).values(deleted_at=func.now())
    return len(session.scalars(hidden.returning(ChatSession.id)).all())


def turns_of_hidden(limit: int, session_id: str | None = None) -> Select[str]:
    """Some final analyses of sessions that are gone for everyone, or of one of these."""
    turns = select(Message.analysis_id).join(ChatSession, ChatSession.id == Message.session_id).where(HIDDEN)
    if session_id is not None:
        turns = turns.where(Message.session_id == session_id)
    return select(Analysis.id).where(Analysis.id.in_(turns), Analysis.state.in_(FINAL)).limit(limit)


def remove_emptied(session: Session, limit: int) -> int:
    """Remove some sessions that are gone for everyone and have no messages left; how many."""
    left = select(literal(1)).where(Message.session_id == ChatSession.id).correlate(ChatSession).exists()
    some = select(ChatSession.id).where(HIDDEN, ~left).limit(limit).with_for_update(skip_locked=True)
    emptied = delete(ChatSession).where(ChatSession.id.in_(some))
    return len(session.scalars(emptied.returning(ChatSession.id)).all())


def _alive(timeout: timedelta) -> tuple[ColumnElement[bool], ...]:
    return SEEN, ChatSession.last_used_at > func.now() - timeout

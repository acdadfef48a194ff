"""Sessions: made, looked at, listed, deleted, and gone when nobody used them for a while."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from core.desk import Desk
from core.errors import WrongState
from core.ids import new_id
from core.models import ApiKey, ChatSession
from core.services import analyses, idempotency, retention
from core.services.context import Again
from core.services.idempotency import Once
from core.store import deliveries, messages
from core.store import sessions as rows
from core.store.messages import Spoken

AT_ONCE = 500
CHUNKS_OF_A_DELETE = 20
"""Turns that a client waits for; upkeep sees to more."""


def create(
    desk: Desk,
    key: ApiKey,
    *,
    system: str | None,
    images: Again,
    metadata: Mapping[str, Any],
    once: Once | None = None,
) -> ChatSession:
    """A new session, or the one that `once` made before. Raises Conflict, IdempotencyMismatch, NotFound."""
    row = ChatSession(
        id=new_id("sess"), account_id=key.account_id, system=system, images=images, meta=dict(metadata)
    )
    with desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, row.id):
            return use(desk, session, key.account_id, earlier)
        rows.add(session, row)
    return row


def use(desk: Desk, session: Session, account_id: str, session_id: str) -> ChatSession:
    """A session that is used just now, held until the commit. Raises NotFound."""
    return rows.use(session, account_id, session_id, desk.settings.session_timeout)


def get(desk: Desk, account_id: str, session_id: str) -> tuple[ChatSession, str | None]:
    """One session, and the analysis that it waits for. Raises NotFound."""
    with desk.database.transaction() as session:
        found = use(desk, session, account_id, session_id)
        return found, messages.open_turn(session, session_id)


def page(desk: Desk, account_id: str, *, before: str | None, limit: int) -> tuple[list[ChatSession], bool]:
    """A page of the account's sessions, the newest first, and whether there are more."""
    with desk.database.transaction() as session:
        return rows.page(session, account_id, desk.settings.session_timeout, before=before, limit=limit)


def history(
    desk: Desk, account_id: str, session_id: str, *, behind: int | None, limit: int, newest: bool
) -> tuple[list[Spoken], bool]:
    """A page of a session's messages, the oldest or the newest first; are there more. Raises NotFound."""
    with desk.database.transaction() as session:
        use(desk, session, account_id, session_id)
        return messages.page(session, session_id, behind=behind, limit=limit, newest=newest)


def delete(desk: Desk, account_id: str, session_id: str) -> None:
    """Delete a session with its messages and their images; what it waits for is cancelled. Raises NotFound.

    It is gone for everyone at once. The calls that were paid for it stay in the books.
    """
    with desk.database.transaction() as session:
        use(desk, session, account_id, session_id)
        if (waits_for := messages.open_turn(session, session_id)) is not None:
            with suppress(WrongState):  # it has just ended
                analyses.give_up(desk, session, waits_for, "its session was deleted")
        rows.hide(session, session_id)
    for _ in range(CHUNKS_OF_A_DELETE):
        if not _forget(desk, AT_ONCE, session_id):
            return


def any_gone(desk: Desk) -> bool:
    """Whether there may be anything to hide, or to forget."""
    with desk.database.driver() as driver:
        return rows.any_gone(driver, desk.settings.session_timeout)


def hide_unused(desk: Desk, limit: int = AT_ONCE) -> int:
    """Let sessions that nobody used for long be gone for everyone; how many."""
    with desk.database.transaction() as session:
        return rows.hide_unused(session, desk.settings.session_timeout, limit)


def forget(desk: Desk, limit: int = AT_ONCE) -> int:
    """Remove turns of sessions that are gone for everyone, at last the sessions themselves; how many."""
    return _forget(desk, limit)


def _forget(desk: Desk, limit: int, session_id: str | None = None) -> int:
    with desk.database.transaction() as session:
        removed = retention.remove(session, rows.turns_of_hidden(limit, session_id))
        deliveries.remove_of(session, removed)
        return len(removed) or rows.remove_emptied(session, limit)

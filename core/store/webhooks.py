"""Webhooks: rows, their owners, and when they are disabled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, null, or_, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.models import Analysis, Base, Batch, Delivery, Webhook
from core.states import DeliveryState
from core.store.pages import newest_first

ACTIVE = Webhook.disabled_at.is_(None)
LISTENER = Webhook.url.is_(None)
STANDING = and_(Webhook.owner_id == Webhook.account_id, Webhook.url.is_not(None))

WEBHOOKS = Base.metadata.tables["webhooks"]
THIS = WEBHOOKS.c.id == bindparam("this_id")
WELL_AGAIN = update(WEBHOOKS).where(THIS, WEBHOOKS.c.failing_since.is_not(None)).values(failing_since=null())
FAILING = update(WEBHOOKS).where(THIS, WEBHOOKS.c.failing_since.is_(None)).values(failing_since=func.now())


def add(session: Session, webhook: Webhook) -> Webhook:
    """Store a webhook."""
    session.add(webhook)
    session.flush()
    return webhook


def owned(session: Session, account_id: str, webhook_id: str, *, lock: bool = False) -> Webhook:
    """A webhook of the account, with `lock` held until the commit. Raises NotFound, also for another's."""
    query = select(Webhook).where(Webhook.account_id == account_id, Webhook.id == webhook_id, ~LISTENER)
    found = session.scalars(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no webhook {webhook_id!r}.")
    return found


def page(
    session: Session, account_id: str, subject_id: str | None, *, before: str | None, limit: int
) -> tuple[list[Webhook], bool]:
    """Standing webhooks, or those of one submission, the newest first, and whether there are more."""
    whose = STANDING if subject_id is None else Webhook.owner_id == subject_id
    query: Select[Any] = select(Webhook).where(Webhook.account_id == account_id, whose)
    return newest_first(session, query, Webhook.id, before=before, limit=limit)


def count_standing(session: Session, account_id: str) -> int:
    """How many standing webhooks an account has."""
    query = select(func.count()).where(Webhook.account_id == account_id, or_(STANDING, LISTENER))
    return session.execute(query).scalar_one()


def remove(session: Session, webhook_id: str) -> None:
    """Remove a webhook with its deliveries."""
    session.execute(delete(Webhook).where(Webhook.id == webhook_id))


def move_lane(session: Session, webhook: Webhook) -> None:
    """Let what waits for a webhook wait in the lane of its new address."""
    waiting = (Delivery.webhook_id == webhook.id, Delivery.state == DeliveryState.PENDING)
    _plain(session, update(Delivery).where(*waiting).values(lane=webhook.lane))


def disable(session: Session, reason: str, *where: ColumnElement[bool]) -> list[Webhook]:
    """Disable the matching webhooks that are not, and give up what waits for them; the webhooks."""
    disabled = list(
        session.scalars(
            update(Webhook)
            .where(ACTIVE, *where)
            .values(disabled_at=func.now(), disabled_reason=reason)
            .returning(Webhook)
            .execution_options(populate_existing=True)
        )
    )
    if disabled:
        waiting = (
            Delivery.webhook_id.in_([webhook.id for webhook in disabled]),
            Delivery.state == DeliveryState.PENDING,
        )
        gone = {"state": DeliveryState.FAILED, "finished_at": func.now(), "lease_until": None}
        words = f"Its webhook was disabled: {reason}"
        _plain(session, update(Delivery).where(*waiting).values(reason=words, rung_at=None, **gone))
    return disabled


def note_success(session: Session, webhook_id: str) -> None:
    """It answers again, where it did not."""
    session.execute(WELL_AGAIN, {"this_id": webhook_id})


def note_failure(session: Session, webhook_id: str) -> None:
    """It does not answer as it should, from now on or since earlier."""
    session.execute(FAILING, {"this_id": webhook_id})


def keep_listening(session: Session, webhook_id: str, seconds: float) -> bool:
    """Somebody still listens; whether the listener is still there. Written down once in half of that time."""
    this = (Webhook.id == webhook_id, LISTENER)
    until, soon = (func.now() + timedelta(seconds=length) for length in (seconds, seconds / 2))
    _plain(session, update(Webhook).where(*this, Webhook.expires_at < soon).values(expires_at=until))
    return session.execute(select(Webhook.id).where(*this)).one_or_none() is not None


def forget(session: Session, age: timedelta, limit: int) -> int:
    """Remove listeners that nobody listens to, and webhooks of submissions that are over for so long."""
    over = and_(
        Webhook.owner_id != Webhook.account_id,
        Webhook.created_at < func.now() - age,
        ~select(Delivery.id).where(Delivery.webhook_id == Webhook.id).exists(),
        ~select(Analysis.id).where(Analysis.id == Webhook.owner_id, Analysis.finished_at.is_(None)).exists(),
        ~select(Batch.id).where(Batch.id == Webhook.owner_id).exists(),
    )
    some = select(Webhook.id).where(or_(Webhook.expires_at < func.now(), over)).limit(limit)
    gone = delete(Webhook).where(Webhook.id.in_(some.with_for_update(skip_locked=True)))
    return len(session.scalars(gone.returning(Webhook.id)).all())


def _plain(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))

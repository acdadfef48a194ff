"""Webhooks without an address: somebody reads what they are told from a live stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func

from core import signing
from core.desk import Desk
from core.ids import new_id
from core.models import Delivery, Webhook
from core.services.webhooks import EVENTS, demand_room
from core.store import deliveries, webhooks

LISTENING_SECONDS = 60.0
"""After which a listener that nobody listens to is gone."""


def listen(desk: Desk, account_id: str) -> Webhook:
    """A webhook without an address: its deliveries are read by who listens. Raises Conflict."""
    listener = Webhook(
        id=new_id("wh"),
        account_id=account_id,
        owner_id=account_id,
        events=list(EVENTS),
        secret=signing.new_secret(),
        expires_at=func.now() + timedelta(seconds=LISTENING_SECONDS),
    )
    with desk.database.transaction() as session:
        demand_room(session, account_id)
        return webhooks.add(session, listener)


def heard(desk: Desk, listener_id: str, ids: Sequence[str], limit: int) -> list[Delivery] | None:
    """What a listener is to be told next, when it was told these; None where it is gone."""
    with desk.database.transaction() as session:
        if not webhooks.keep_listening(session, listener_id, LISTENING_SECONDS):
            return None
        if ids:
            deliveries.heard(session, ids)
        return deliveries.unheard(session, listener_id, limit)


def stop_listening(desk: Desk, listener_id: str) -> None:
    """Nobody listens any more."""
    with desk.database.transaction() as session:
        webhooks.remove(session, listener_id)

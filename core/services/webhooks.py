"""What clients do with webhooks: make, change, test and remove them, look at deliveries, send them anew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func
from sqlalchemy.orm import Session

from core import signing
from core.addresses import AddressRules
from core.desk import Desk
from core.errors import AddressNotAllowed, Conflict, InvalidRequest, WrongState
from core.ids import new_id
from core.models import Delivery, Webhook
from core.services import idempotency
from core.services.idempotency import Once
from core.states import FINAL
from core.store import deliveries, outbox, webhooks

OF_ANALYSES = tuple(f"analysis.{state}" for state in sorted(FINAL))
OF_BATCHES = tuple(
    f"batch.{event}" for event in ("cancelled", "completed", "expired", "failed", "paused", "progress")
)
EVENTS = (*OF_ANALYSES, *OF_BATCHES, "budget.exceeded", "webhook.disabled")
PING = "webhook.ping"
MOST_WEBHOOKS = 50
"""Standing ones, of an account."""
ROTATION = timedelta(hours=24)
"""For so long messages are signed by the secret before, too."""
BY_CLIENT = "disabled by the client"


@dataclass(frozen=True, slots=True)
class Told:
    """Where one submission wants its events; the secret, if there is one, signs them."""

    url: str
    secret: str | None

    def __repr__(self) -> str:
        return "Told(…)"


def check(desk: Desk, told: Told | None) -> None:
    """Raises InvalidRequest where a submission cannot be told of so."""
    if told is not None:
        _check_url(desk, told.url, "webhook_url")
        _check_secret(told.secret, "webhook_secret")


def attach(session: Session, account_id: str, subject_id: str, told: Told | None) -> None:
    """Let one submission tell its events; in the transaction that accepts it."""
    if told is None:
        return
    events = OF_BATCHES if subject_id.startswith("batch_") else OF_ANALYSES
    webhook = Webhook(
        id=new_id("wh"),
        account_id=account_id,
        owner_id=subject_id,
        url=told.url,
        lane=_lane(account_id, told.url),
        events=list(events),
        secret=told.secret,
    )
    webhooks.add(session, webhook)


def create(
    desk: Desk,
    account_id: str,
    *,
    url: str,
    events: Sequence[str] = EVENTS,
    batch_items: bool = False,
    description: str = "",
    secret: str | None = None,
    once: Once | None = None,
) -> Webhook:
    """Make a standing webhook, with a secret where none is given; what `once` made before is given instead.

    Raises InvalidRequest, Conflict, IdempotencyMismatch.
    """
    _check_url(desk, url, "url")
    _check_secret(secret, "secret")
    webhook = Webhook(
        id=new_id("wh"),
        account_id=account_id,
        owner_id=account_id,
        url=url,
        lane=_lane(account_id, url),
        events=_checked(events),
        batch_items=batch_items,
        description=description,
        secret=secret or signing.new_secret(),
    )
    with desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, webhook.id):
            return webhooks.owned(session, account_id, earlier)
        demand_room(session, account_id)
        return webhooks.add(session, webhook)


def get(desk: Desk, account_id: str, webhook_id: str) -> Webhook:
    """One webhook. Raises NotFound."""
    with desk.database.transaction() as session:
        return webhooks.owned(session, account_id, webhook_id)


def page(
    desk: Desk, account_id: str, subject_id: str | None, *, before: str | None, limit: int
) -> tuple[list[Webhook], bool]:
    """A page of the standing webhooks, or of those of one submission, and whether there are more."""
    with desk.database.transaction() as session:
        return webhooks.page(session, account_id, subject_id, before=before, limit=limit)


def change(desk: Desk, account_id: str, webhook_id: str, changes: Mapping[str, Any]) -> Webhook:
    """Change url, events, batch_items or description, and enable or disable it.

    Raises NotFound, InvalidRequest.
    """
    changes = dict(changes)
    enabled = changes.pop("enabled", None)
    if "url" in changes:
        _check_url(desk, changes["url"], "url")
    if "events" in changes:
        changes["events"] = _checked(changes["events"])
    with desk.database.transaction() as session:
        webhook = webhooks.owned(session, account_id, webhook_id, lock=True)
        for name, value in changes.items():
            setattr(webhook, name, value)
        if "url" in changes:
            webhook.lane = _lane(account_id, changes["url"])
            session.flush()
            webhooks.move_lane(session, webhook)
        if enabled is True and webhook.disabled_at is not None:
            webhook.disabled_at = webhook.disabled_reason = webhook.failing_since = None
        session.flush()
        if enabled is False:
            webhooks.disable(session, BY_CLIENT, Webhook.id == webhook_id)
        return webhooks.owned(session, account_id, webhook_id)


def remove(desk: Desk, account_id: str, webhook_id: str) -> None:
    """Remove a webhook with its deliveries. Raises NotFound."""
    with desk.database.transaction() as session:
        webhooks.owned(session, account_id, webhook_id, lock=True)
        webhooks.remove(session, webhook_id)


def rotate(desk: Desk, account_id: str, webhook_id: str, secret: str | None) -> Webhook:
    """Give it a new secret; for a while messages are signed by the one before, too.

    Raises NotFound, InvalidRequest.
    """
    _check_secret(secret, "secret")
    with desk.database.transaction() as session:
        webhook = webhooks.owned(session, account_id, webhook_id, lock=True)
        webhook.old_secret, webhook.secret = webhook.secret, secret or signing.new_secret()
        webhook.old_secret_until = func.now() + ROTATION
        session.flush()
        session.refresh(webhook)
        return webhook


def ping(desk: Desk, account_id: str, webhook_id: str) -> Delivery:
    """Send it a test message. Raises NotFound, WrongState where it is disabled."""
    with desk.database.transaction() as session:
        webhook = _enabled(session, account_id, webhook_id)
        told = {"id": webhook.id, "object": "webhook", "description": webhook.description}
        return deliveries.owned(session, webhook_id, outbox.send(session, webhook_id, PING, told))


def delivery(desk: Desk, account_id: str, webhook_id: str, delivery_id: str) -> Delivery:
    """One delivery with its attempts. Raises NotFound."""
    with desk.database.transaction() as session:
        webhooks.owned(session, account_id, webhook_id)
        return deliveries.owned(session, webhook_id, delivery_id)


def deliveries_page(
    desk: Desk, account_id: str, webhook_id: str, *, before: str | None, limit: int, state: str | None
) -> tuple[list[Delivery], bool]:
    """A page of its deliveries, the newest first, and whether there are more. Raises NotFound."""
    with desk.database.transaction() as session:
        webhooks.owned(session, account_id, webhook_id)
        return deliveries.page(session, webhook_id, before=before, limit=limit, state=state)


def redeliver(desk: Desk, account_id: str, webhook_id: str, delivery_id: str) -> Delivery:
    """Send a delivery anew, under the same id. Raises NotFound, WrongState while it is being sent."""
    with desk.database.transaction() as session:
        _enabled(session, account_id, webhook_id)
        deliveries.owned(session, webhook_id, delivery_id)
        if not deliveries.send_again(session, webhook_id, Delivery.id == delivery_id):
            raise WrongState("It is still being delivered.")
        session.expire_all()
        return deliveries.owned(session, webhook_id, delivery_id)


def replay(
    desk: Desk, account_id: str, webhook_id: str, since: datetime, until: datetime, state: str | None
) -> int:
    """Send anew what was told in a span of time, or only what failed or was delivered; how many.

    Raises NotFound, InvalidRequest, WrongState where it is disabled.
    """
    if since >= until:
        raise InvalidRequest("until must be later than since.", details={"field": "until"})
    span = [Delivery.created_at >= since, Delivery.created_at < until]
    if state is not None:
        span.append(Delivery.state == state)
    with desk.database.transaction() as session:
        _enabled(session, account_id, webhook_id)
        return len(deliveries.send_again(session, webhook_id, *span))


def body_of(delivery_id: str, event: str, created_at: datetime, payload: Any) -> dict[str, Any]:
    """A message as it is sent; one of a batch is in the shape that `openai.webhooks.unwrap()` knows."""
    return {
        "id": delivery_id,
        "object": "event",
        "created_at": int(created_at.timestamp()),
        "type": event,
        "data": payload,
    }


def _enabled(session: Session, account_id: str, webhook_id: str) -> Webhook:
    webhook = webhooks.owned(session, account_id, webhook_id, lock=True)
    if webhook.disabled_at is not None:
        raise WrongState("This webhook is disabled: enable it first.")
    return webhook


def demand_room(session: Session, account_id: str) -> None:
    """Raises Conflict where an account has as many webhooks as it may."""
    if webhooks.count_standing(session, account_id) >= MOST_WEBHOOKS:
        raise Conflict(f"An account has at most {MOST_WEBHOOKS} webhooks: delete one first.")


def _checked(events: Sequence[str]) -> list[str]:
    return sorted(set(events))


def _check_url(desk: Desk, url: str, field: str) -> None:
    try:
        AddressRules.of(desk.settings).check(url)
    except AddressNotAllowed as error:
        raise AddressNotAllowed(f"{field}: {error.message}", details={"field": field}) from error


def _check_secret(secret: str | None, field: str) -> None:
    if secret is not None and (problem := signing.problem_of(secret)):
        raise InvalidRequest(problem, details={"field": field})


def _lane(account_id: str, url: str) -> str:
    """The account, and the server that the address names: all of its deliveries there share a lane."""
    parts = urlsplit(url)
    server = hashlib.sha256(f"{parts.scheme}://{parts.netloc}".lower().encode()).hexdigest()[:16]
    return f"{account_id}:{server}"

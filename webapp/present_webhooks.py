"""Webhooks and deliveries as clients see them."""

from __future__ import annotations

from typing import Any

from core.models import Attempt, Delivery, Webhook
from core.services.webhooks import body_of
from core.states import DeliveryState


def webhook(row: Webhook) -> dict[str, Any]:
    """A webhook, in the shape of WebhookView."""
    return {
        "id": row.id,
        "object": "webhook",
        "url": row.url,
        "description": row.description,
        "subject": None if row.owner_id == row.account_id else row.owner_id,
        "events": row.events,
        "batch_items": row.batch_items,
        "enabled": row.disabled_at is None,
        "disabled_at": row.disabled_at,
        "disabled_reason": row.disabled_reason,
        "failing_since": row.failing_since,
        "old_secret_until": row.old_secret_until,
        "created_at": row.created_at,
    }


def made(row: Webhook) -> dict[str, Any]:
    """The same with its secret, in the shape of WebhookMade."""
    return webhook(row) | {"secret": row.secret}


def line(row: Delivery) -> dict[str, Any]:
    """A delivery, in the shape of DeliveryLine."""
    last = row.history[-1] if row.history else None
    return {
        "id": row.id,
        "object": "delivery",
        "type": row.type,
        "subject": row.subject_id,
        "status": row.state,
        "reason": row.reason,
        "attempts": row.attempts,
        "last_status_code": last and last.status,
        "last_seconds": last and last.seconds,
        "created_at": row.created_at,
        "next_attempt_at": row.next_attempt_at if row.state == DeliveryState.PENDING else None,
        "completed_at": row.finished_at,
    }


def delivery(row: Delivery) -> dict[str, Any]:
    """A delivery with its message and attempts, in the shape of DeliveryView."""
    return line(row) | {"message": message(row), "history": [_attempt(attempt) for attempt in row.history]}


def message(row: Delivery) -> dict[str, Any]:
    """What is sent."""
    return body_of(row.id, row.type, row.created_at, row.payload)


def _attempt(row: Attempt) -> dict[str, Any]:
    return {
        "number": row.number,
        "status_code": row.status,
        "error": row.error,
        "seconds": row.seconds,
        "reply": row.reply,
        "ended_at": row.ended_at,
    }

"""Webhooks as a resource, what was delivered to them, and a live stream of the same events."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_smorest import Blueprint

from core.services import webhooks
from core.services.keys import Scope
from webapp import present_webhooks as present
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.listening import events
from webapp.operations import MADE, desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.present import page
from webapp.schemas.analyses import Deleted
from webapp.schemas.webhooks import (
    DeliveryPage,
    DeliveryQuery,
    DeliveryView,
    Replayed,
    ReplayJson,
    RotateJson,
    WebhookChange,
    WebhookJson,
    WebhookMade,
    WebhookPage,
    WebhookQuery,
    WebhookView,
)
from webapp.streams import streams, watch_for_end

PLACE = "/webhooks/<id(wh):webhook_id>"
DELIVERIES = f"{PLACE}/deliveries"

blueprint = Blueprint("webhooks", __name__, description="Who is told of events, and how that went.")


@blueprint.route("/webhooks", methods=["POST"])
@blueprint.response(201, WebhookMade, headers=MADE)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=WebhookJson)
@idempotent
def create(body: dict[str, Any]) -> Any:
    """Make a webhook; its secret is shown now and never again, but for a replay of this very request."""
    made = webhooks.create(desk(), key().account_id, **body, once=once())
    return present.made(made), 201, {"Location": url_for("webhooks.one", webhook_id=made.id)}


@blueprint.route("/webhooks", methods=["GET"])
@blueprint.response(200, WebhookPage)
@signed_in(Scope.READ)
@takes_query(WebhookQuery)
def listing(query: dict[str, Any]) -> Any:
    """List the standing webhooks, the newest first, or that of one submission."""
    rows, more = webhooks.page(
        desk(),
        key().account_id,
        query.get("subject"),
        before=query.get("cursor"),
        limit=query["limit"],
    )
    return page([present.webhook(row) for row in rows], more=more)


@blueprint.route(PLACE, methods=["GET"])
@blueprint.response(200, WebhookView)
@signed_in(Scope.READ)
@may_answer(404)
def one(webhook_id: str) -> Any:
    """Look at a webhook."""
    return present.webhook(webhooks.get(desk(), key().account_id, webhook_id))


@blueprint.route(PLACE, methods=["PATCH"])
@blueprint.response(200, WebhookView)
@signed_in(Scope.WRITE)
@takes_body(json=WebhookChange)
@may_answer(404)
def change(body: dict[str, Any], webhook_id: str) -> Any:
    """Change a webhook. Disabling it gives up what still waits for it; a replay brings that back."""
    return present.webhook(webhooks.change(desk(), key().account_id, webhook_id, body))


@blueprint.route(PLACE, methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404)
def delete(webhook_id: str) -> Any:
    """Delete a webhook with its deliveries."""
    webhooks.remove(desk(), key().account_id, webhook_id)
    return {"id": webhook_id, "object": "webhook", "deleted": True}


@blueprint.route(f"{PLACE}/rotate", methods=["POST"])
@blueprint.response(200, WebhookMade, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=RotateJson, optional=True)
@may_answer(404)
def rotate(body: dict[str, Any], webhook_id: str) -> Any:
    """Give it a new secret; for 24 hours messages have a signature of the one before, too."""
    return present.made(webhooks.rotate(desk(), key().account_id, webhook_id, body.get("secret")))


@blueprint.route(f"{PLACE}/test", methods=["POST"])
@blueprint.response(202, DeliveryView, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@may_answer(404, 409)
def test(webhook_id: str) -> Any:
    """Send it a `webhook.ping`, whatever events it wants."""
    return present.delivery(webhooks.ping(desk(), key().account_id, webhook_id))


@blueprint.route(DELIVERIES, methods=["GET"])
@blueprint.response(200, DeliveryPage)
@signed_in(Scope.READ)
@takes_query(DeliveryQuery)
@may_answer(404)
def deliveries(query: dict[str, Any], webhook_id: str) -> Any:
    """List what was, or is to be, delivered to it, the newest first."""
    rows, more = webhooks.deliveries_page(
        desk(),
        key().account_id,
        webhook_id,
        before=query.get("cursor"),
        limit=query["limit"],
        state=query.get("status"),
    )
    return page([present.line(row) for row in rows], more=more)


@blueprint.route(f"{DELIVERIES}/<id(evt):delivery_id>", methods=["GET"])
@blueprint.response(200, DeliveryView)
@signed_in(Scope.READ)
@may_answer(404)
def delivery(webhook_id: str, delivery_id: str) -> Any:
    """Look at a delivery: the message, and each attempt with what was answered."""
    return present.delivery(webhooks.delivery(desk(), key().account_id, webhook_id, delivery_id))


@blueprint.route(f"{DELIVERIES}/<id(evt):delivery_id>/redeliver", methods=["POST"])
@blueprint.response(202, DeliveryView, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@may_answer(404, 409)
def redeliver(webhook_id: str, delivery_id: str) -> Any:
    """Send a message anew, under the same id."""
    return present.delivery(webhooks.redeliver(desk(), key().account_id, webhook_id, delivery_id))


@blueprint.route(f"{PLACE}/replay", methods=["POST"])
@blueprint.response(202, Replayed, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=ReplayJson)
@may_answer(404, 409)
def replay(body: dict[str, Any], webhook_id: str) -> Any:
    """Send anew what was told in a span of time, under the same ids."""
    number = webhooks.replay(
        desk(), key().account_id, webhook_id, body["since"], body["until"], body.get("status")
    )
    return {"deliveries": number}


@blueprint.route("/webhooks/stream", methods=["GET"])
@blueprint.response(
    200,
    content_type="text/event-stream",
    description="`listening` with a secret, then a `message` for each event from now on, as it would be sent;"
    " `closing` where this server is about to stop.",
)
@signed_in(Scope.READ)
@may_answer(409)
def stream() -> Any:
    """Follow the account's events live, without a receiver: for development."""
    return streams().response(events(desk(), key().account_id, watch_for_end()))

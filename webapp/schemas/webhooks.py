"""Webhooks as clients send and see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

from core.addresses import LONGEST
from core.ids import ALPHABET, LENGTH
from core.services.webhooks import EVENTS
from core.signing import MOST_CHARACTERS
from core.states import DeliveryState
from webapp.schemas.pages import PageSize, cursor
from webapp.schemas.values import Moment, Text

SECRET = {"description": "`whsec_…`, or any text of 8 characters and more. One is made where none is given."}
ITEMS = {"description": "Send `analysis.…` also for the items of batches, one by one."}


class _Events(fields.List[str]):
    def __init__(self, **kwargs: Any) -> None:
        each = Text(validate=validate.OneOf(EVENTS))
        super().__init__(each, validate=validate.Length(1, len(EVENTS)), **kwargs)


class WebhookJson(Schema):
    """A webhook to be made."""

    url = Text(
        required=True, validate=validate.Length(1, LONGEST), metadata={"example": "https://shop.example/hook"}
    )
    events = _Events(load_default=list(EVENTS), metadata={"description": "All of them where it is left out."})
    batch_items = fields.Boolean(load_default=False, truthy={True}, falsy={False}, metadata=ITEMS)
    description = Text(load_default="", validate=validate.Length(max=200))
    secret = Text(validate=validate.Length(1, MOST_CHARACTERS), metadata=SECRET)


class WebhookChange(Schema):
    """What is to change of a webhook."""

    url = Text(validate=validate.Length(1, LONGEST))
    events = _Events()
    batch_items = fields.Boolean(truthy={True}, falsy={False}, metadata=ITEMS)
    description = Text(validate=validate.Length(max=200))
    enabled = fields.Boolean(truthy={True}, falsy={False})


class RotateJson(Schema):
    """The new secret, where it is not to be made."""

    secret = Text(validate=validate.Length(1, MOST_CHARACTERS), metadata=SECRET)


class ReplayJson(Schema):
    """What is to be sent anew."""

    since = Moment(None, required=True, metadata={"description": "Events from this moment on."})
    until = Moment(
        None, load_default=lambda: datetime.now(UTC), metadata={"description": "Up to this one; now."}
    )
    status = Text(
        validate=validate.OneOf([DeliveryState.DELIVERED, DeliveryState.FAILED]),
        metadata={"description": "Only these; both where it is left out."},
    )


class WebhookQuery(PageSize):
    """Which webhooks, and which page of them."""

    cursor = cursor("wh")
    subject = Text(
        validate=validate.Regexp(
            rf"^(an|batch)_[{ALPHABET}]{{{LENGTH}}}$", error="Must be the id of an analysis or a batch."
        ),
        metadata={"description": "That of one submission, and not the standing ones."},
    )


class DeliveryQuery(PageSize):
    """Which deliveries, and which page of them."""

    cursor = cursor("evt")
    status = Text(validate=validate.OneOf([state.value for state in DeliveryState]))


class WebhookView(Schema):
    """A webhook; its secret is shown where it is made and nowhere else."""

    id = fields.String(required=True, metadata={"example": "wh_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    object = fields.String(required=True, metadata={"enum": ["webhook"]})
    url = fields.String(required=True)
    description = fields.String(required=True)
    subject = fields.String(
        required=True, allow_none=True, metadata={"description": "The one submission it is for, if it is."}
    )
    events = fields.List(fields.String(), required=True)
    batch_items = fields.Boolean(required=True)
    enabled = fields.Boolean(required=True)
    disabled_at = fields.DateTime(required=True, allow_none=True)
    disabled_reason = fields.String(required=True, allow_none=True)
    failing_since = fields.DateTime(required=True, allow_none=True)
    old_secret_until = fields.DateTime(
        required=True,
        allow_none=True,
        metadata={"description": "Until then messages are signed by the secret before, too."},
    )
    created_at = fields.DateTime(required=True)


class WebhookMade(WebhookView):
    """A webhook with its new secret."""

    secret = fields.String(required=True, metadata={"example": "whsec_…"})


class WebhookPage(Schema):
    """A page of webhooks, the newest first."""

    data = fields.List(fields.Nested(WebhookView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class AttemptView(Schema):
    """One request to the receiver."""

    number = fields.Integer(required=True)
    status_code = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    seconds = fields.Float(required=True)
    reply = fields.String(
        required=True, allow_none=True, metadata={"description": "How its answer begins, up to 64 KB."}
    )
    ended_at = fields.DateTime(required=True)


class DeliveryLine(Schema):
    """An event on its way to a receiver."""

    id = fields.String(required=True, metadata={"description": "The `webhook-id` of every attempt."})
    object = fields.String(required=True, metadata={"enum": ["delivery"]})
    type = fields.String(required=True)
    subject = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": [state.value for state in DeliveryState]})
    reason = fields.String(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    last_status_code = fields.Integer(required=True, allow_none=True)
    last_seconds = fields.Float(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    next_attempt_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)


class DeliveryView(DeliveryLine):
    """The same with what is sent, and the latest attempts."""

    message = fields.Dict(required=True, metadata={"description": "The body that is sent."})
    history = fields.List(fields.Nested(AttemptView), required=True)


class DeliveryPage(Schema):
    """A page of deliveries, the newest first."""

    data = fields.List(fields.Nested(DeliveryLine), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class Replayed(Schema):
    """How many deliveries are sent anew."""

    deliveries = fields.Integer(required=True)

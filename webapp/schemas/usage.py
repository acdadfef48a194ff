"""What an account used, as clients ask for it and see it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from core.services.usage import GROUPS
from webapp.schemas.analyses import CostSchema, UsageSchema
from webapp.schemas.values import Text, Whole, is_storable

ONE_GROUP = f"({'|'.join(GROUPS)})"
YEARS = range(1970, 3000)
"""Far from the ends of the calendar, where zones and spans overflow."""


class Moment(fields.AwareDateTime):
    """A moment; one without an offset, or a date alone, is in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        text = f"{value}T00:00:00" if isinstance(value, str) and len(value) == len("2026-01-31") else value
        moment = super()._deserialize(text, attr, data, **kwargs)
        if moment.year not in YEARS:
            raise ValidationError(f"Must be in the years {YEARS[0]} to {YEARS[-1]}.")
        return moment.astimezone(UTC)


class Place(fields.Field[Any]):
    """Where the page before ended: opaque to clients, the time and names of a group to us."""

    def _deserialize(self, value: Any, *_args: Any, **_: Any) -> list[Any]:
        try:
            start, *names = json.loads(base64.urlsafe_b64decode(value.encode()))
            moment = datetime.fromisoformat(start)
        except (binascii.Error, ValueError, TypeError, RecursionError):
            moment, names = None, []
        storable = all(isinstance(name, str) and is_storable(name) for name in names)
        if moment is None or moment.tzinfo is None or moment.year not in YEARS or not storable:
            raise ValidationError("Take next_cursor from the page before.")
        return [moment, *names]


def place_of(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """The cursor that leads behind this row."""
    place = [row["start"].isoformat(), *(row[name] for name in names)]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


class UsageQuery(Schema):
    """Which calls, and how they are summed."""

    since = Moment(
        data_key="from", metadata={"description": "24 hours, or 30 days, before `to` where it is left out."}
    )
    until = Moment(data_key="to", metadata={"description": "Not included; now, where it is left out."})
    interval = Text(load_default="day", validate=validate.OneOf(["hour", "day"]))
    group_by = Text(
        load_default="",
        validate=validate.Regexp(
            rf"^$|^{ONE_GROUP}(,{ONE_GROUP})*$", error=f"Must be any of {', '.join(GROUPS)}, with commas."
        ),
        metadata={"example": "model,preset"},
    )
    format = Text(load_default="json", validate=validate.OneOf(["json", "csv"]))
    limit = Whole(load_default=100, validate=validate.Range(1, 1000))
    cursor = Place(metadata={"type": "string", "description": "next_cursor of the page before."})


class UsageRow(Schema):
    """What was used in an hour or a day, by one of the groups that were asked for."""

    start = fields.DateTime(required=True)
    model = fields.String()
    preset = fields.String(allow_none=True)
    key = fields.String()
    batch = fields.String(allow_none=True)
    calls = fields.Integer(required=True)
    refused_calls = fields.Integer(
        required=True, metadata={"description": "Turned away by the endpoint, or never sent: free."}
    )
    unknown_cost_calls = fields.Integer(
        required=True,
        metadata={
            "description": "Unanswered, and in the sums at their worst case; or of a model without a price."
        },
    )
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    reserved_cost = fields.Float(
        required=True, metadata={"description": "Set aside for calls on their way; not in the cost."}
    )
    cached = fields.Integer(
        required=True, metadata={"description": "Answers of earlier analyses, given again."}
    )
    saved = fields.Float(required=True, metadata={"description": "What those cost when they were paid for."})
    cascade_saved = fields.Float(
        required=True,
        metadata={
            "description": "What cascades saved against asking the stronger model for all, at its price for"
            " the same tokens; less what was spent on first answers that were not enough."
        },
    )


class BudgetView(Schema):
    """How a budget stands."""

    limit = fields.Float(required=True)
    spent = fields.Float(required=True)
    reserved = fields.Float(required=True, metadata={"description": "Set aside for calls on their way."})
    resets_at = fields.DateTime(required=True)


class BudgetsView(Schema):
    """The budgets of the key that asks; null where it has none."""

    monthly_usd = fields.Nested(BudgetView, required=True, allow_none=True)
    daily_tokens = fields.Nested(BudgetView, required=True, allow_none=True)


class UsagePage(Schema):
    """A page of what was used, by time and by the names of the groups."""

    data = fields.List(fields.Nested(UsageRow), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    since = fields.DateTime(required=True, data_key="from")
    until = fields.DateTime(required=True, data_key="to")
    interval = fields.String(required=True)
    budget = fields.Nested(BudgetsView, required=True)

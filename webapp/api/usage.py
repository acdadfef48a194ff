"""What an account used, and what its key may still spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask_smorest import Blueprint

from core.errors import InvalidRequest
from core.services import budgets, usage
from core.services.keys import Scope
from core.services.usage import Question
from webapp import present
from webapp.operations import desk, key, signed_in, takes_query
from webapp.schemas.usage import UsagePage, UsageQuery, place_of
from webapp.sheets import sheet

LINES = {"type": "string", "description": "A line for each group."}
COUNTS = ("calls", "refused_calls", "unknown_cost_calls")
MONEY = (
    "prompt_cost",
    "completion_cost",
    "total_cost",
    "currency",
    "reserved_cost",
    "cached",
    "saved",
    "cascade_saved",
    "saved_image_tokens",
)

blueprint = Blueprint("usage", __name__, description="What was used, from the books.")


@blueprint.route("/usage", methods=["GET"])
@blueprint.response(200, UsagePage)
@blueprint.alt_response(200, schema=LINES, content_type="text/csv", success=True)
@signed_in(Scope.READ)
@takes_query(UsageQuery)
def read(query: dict[str, Any]) -> Any:
    """Sum calls, tokens and cost by hour or day, model, preset, key and batch; and show the key's budgets."""
    asked = _question(query)
    if query["format"] == "csv":
        columns = ("start", *asked.group_by, *COUNTS, *present.TOKENS, *MONEY)
        return sheet(columns, map(present.flat_usage, usage.everything(desk(), asked)), "usage")
    rows, more = usage.page(desk(), asked, query["limit"])
    return {
        "data": [present.grouped_usage(row) for row in rows],
        "has_more": more,
        "next_cursor": place_of(rows[-1], asked.group_by) if more else None,
        "since": asked.since,
        "until": asked.until,
        "interval": asked.interval,
        "budget": present.budgets(budgets.of_keys(desk(), [key().id]) if key().budgets else []),
    }


def _question(query: Mapping[str, Any]) -> Question:
    asked = usage.question(
        key().account_id,
        since=query.get("since"),
        until=query.get("until"),
        interval=query["interval"],
        group_by=list(dict.fromkeys(name for name in query["group_by"].split(",") if name)),
    )
    after = query.get("cursor")
    if after is not None and len(after) != 1 + len(asked.group_by):
        raise InvalidRequest(
            "This cursor is of a page that was grouped otherwise.", details={"field": "cursor"}
        )
    return replace(asked, after=after)

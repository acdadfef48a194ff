"""A cheap model first, a stronger one where that is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from core.presets import answer_fields
from core.presets.brief import Brief
from core.pricing import PriceTable, Usage
from core.services.outcomes import Answer, Closing

NOT_KNOWN: tuple[Any, ...] = (None, "", "unknown", [])
THRESHOLD = 0.7


def why_stronger(brief: Brief, answer: Answer) -> str | None:
    """Why the stronger model has to answer as well; None where this answer will do."""
    models, asked = brief.models or {}, answer_fields.of(brief.schema)
    threshold = models.get("threshold", THRESHOLD)
    data = answer.data if isinstance(answer.data, dict) else {}
    if "confidence" in data and (answer.confidence is None or answer.confidence < threshold):
        return f"confidence {_shown(answer.confidence)} is below {threshold:g}"
    each = data.get("confidences")
    confidences: Mapping[str, Any] = each if isinstance(each, dict) else {}
    for name in (wanted for wanted in models.get("must_know", ()) if wanted in asked):
        if data.get(name) in NOT_KNOWN:
            return f"{name} is not known"
        if isinstance(sure := confidences.get(name), int | float) and sure < threshold:
            return f"confidence {_shown(sure)} in {name} is below {threshold:g}"
    return None


def saving(prices: PriceTable, closing: Closing, stronger: str) -> Closing:
    """The closing of a cheap call that was enough, with what the stronger model would have cost on top of it.

    That is its price for the same tokens; nothing is noted where a price is not known.
    """
    price, spent = prices.find(stronger), _cost(closing)
    if price is None or spent is None:
        return closing
    usage = Usage(**{field.name: closing.values[field.name] for field in fields(Usage)})
    return closing.noting(saved_cost=price.cost(usage).total - spent)


def wasting(closing: Closing) -> Closing:
    """The closing of a cheap call that was not enough: what it cost was not saved but spent on top."""
    spent = _cost(closing)
    return closing if spent is None else closing.noting(saved_cost=-spent)


def _cost(closing: Closing) -> Decimal | None:
    prompt, completion = closing.values["prompt_cost"], closing.values["completion_cost"]
    return None if prompt is None or completion is None else prompt + completion


def _shown(confidence: float | None) -> str:
    return "unknown" if confidence is None else f"{confidence:g}"

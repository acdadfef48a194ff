"""Trials of a preset: what would be sent, and what that would cost, without sending it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest
from core.presets import Preset
from core.presets.brief import brief
from core.pricing import WorstCase
from core.services.presets import check_form, models_of

PICTURE = {"type": "image_url", "image_url": {"url": "…"}}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What one analysis would send."""

    preset: Preset
    model: str
    messages: list[dict[str, Any]]
    response_format: dict[str, Any] | None
    worst: WorstCase
    """Of the text and the answer; images add to it by their size."""


def rehearse(desk: Desk, account_id: str, preset: Preset, asked: Mapping[str, Any], images: int) -> Rehearsal:
    """What a preset makes of a question. Raises InvalidRequest for options that it does not take."""
    options = asked.get("preset_options")
    check_form(desk, account_id, preset, options, None)
    made = brief(preset, options)
    said = made.said(asked.get("question"), asked.get("context"))
    texts = [{"type": "text", "text": text} for text in said]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": made.prompt},
        {"role": "user", "content": [*texts, *[PICTURE] * images]},
    ]
    model, _ = models_of(desk, preset, asked.get("model"))
    if model not in desk.settings.models:
        raise InvalidRequest(f"The model {model!r} is not served here.", details={"field": "model"})
    most = asked.get("max_tokens") or desk.settings.default_max_tokens
    text = "\n".join([made.prompt, *said, json.dumps(made.response_format or "")])
    return Rehearsal(
        preset, model, messages, made.response_format, desk.prices.worst_case(model, text, [], most)
    )

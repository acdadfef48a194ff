"""Which preset a submission means, and what a worker has to ask under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import json_schemas
from core.desk import Desk
from core.errors import InvalidRequest
from core.presets import Preset
from core.presets.brief import Brief, brief
from core.store.claims import Claim


def check_form(preset: Preset, options: Mapping[str, Any] | None, response_format: Any) -> None:
    """Raises InvalidRequest for options that the preset does not take, or a form that cannot be asked for."""
    preset.check(options)
    if response_format is None:
        return
    json_schemas.schema_of(response_format)
    if preset.schema is not None:
        raise InvalidRequest(
            f"The preset {preset.name!r} has a form of its own: leave response_format out.",
            details={"field": "response_format"},
        )


def brief_of(desk: Desk, claimed: Claim) -> Brief:
    """What is to be asked for a claimed analysis."""
    preset = desk.presets.version(claimed.preset, claimed.preset_version)
    return brief(preset, claimed.preset_options, claimed.response_format)

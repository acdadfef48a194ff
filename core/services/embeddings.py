"""Embeddings in the shape of OpenAI's API: analyses without images, whose body is passed on as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest, ModelNotFound, quoted
from core.models import ApiKey
from core.services import analyses
from core.services.bodies import demand_storable
from core.services.idempotency import Once

PRESET, PRESET_VERSION = "embeddings", 1
"""What stands in the place of a preset; there is no pack of this name."""


def submit(desk: Desk, key: ApiKey, body: dict[str, Any], request_id: str, once: Once | None = None) -> str:
    """Accept a request; the id of its analysis, or of what `once` made before.

    Raises InvalidRequest, ModelNotFound, FileTooLarge, and as analyses.submit does.
    """
    if not isinstance(body.get("input"), str | list) or not body["input"]:
        raise InvalidRequest("input must be a text, or a list of at least one.", details={"field": "input"})
    demand_storable(body)
    analysis = analyses.fresh(
        key,
        request_id,
        preset=PRESET,
        preset_version=PRESET_VERSION,
        model=_model(desk, body),
        max_tokens=0,
        temperature=0,
        detail="auto",
        meta={},
        body=body,
    )
    return analyses.accept(desk, key, analysis, [], once)


def _model(desk: Desk, body: Mapping[str, Any]) -> str:
    served, name = desk.settings.embedding_models, body.get("model")
    if name is None and served:
        return served[0]
    if name not in served:
        known = ", ".join(served) or "none"
        raise ModelNotFound(
            f"The model {quoted(name)} makes no embeddings here; these do: {known}.",
            details={"field": "model"},
        )
    return str(name)

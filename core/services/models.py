"""What a request may name as its model: the endpoint's models, and presets as `vitrine/<name>`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import ModelNotFound
from core.pricing import Price

PREFIX = "vitrine/"
OURS, THEIRS = "vitrine", "endpoint"


@dataclass(frozen=True, slots=True)
class Served:
    """A model, or a preset, which asks the default model."""

    name: str
    owner: str
    title: str
    price: Price | None
    """None where the price table does not know the model."""


def served(desk: Desk) -> Iterator[Served]:
    """The models, the default one first and those for embeddings last, then the presets by name."""
    settings = desk.settings
    for name in dict.fromkeys((*settings.models, *settings.embedding_models)):
        yield Served(name, THEIRS, name, desk.prices.find(name))
    default = desk.prices.find(settings.vision_model)
    for preset in desk.presets:
        yield Served(PREFIX + preset.name, OURS, preset.title, default)


def find(desk: Desk, name: str) -> Served:
    """One of them. Raises NotFound."""
    found = next((model for model in served(desk) if model.name == name), None)
    if found is None:
        raise ModelNotFound(f"The model {name!r} is not served here.", details={"field": "model"})
    return found


def with_preset(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    """The body of a chat; where its model is a preset, with that prompt and schema.

    Raises ModelNotFound.
    """
    name = body.get("model")
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return body
    find(desk, name)
    preset = desk.presets.latest(name.removeprefix(PREFIX))
    prompt = {"role": "system", "content": preset.prompt}
    form = {"response_format": preset.response_format} if preset.response_format else {}
    said = {"model": desk.settings.vision_model, "messages": [prompt, *body["messages"]]}
    return {**form, **body, **said}

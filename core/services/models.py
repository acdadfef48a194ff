"""What a request may name as its model: the endpoint's models, and presets as `vitrine/<name>`.

Of presets, those whose words and schema are all of it; the others take more than a chat gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest, ModelNotFound, quoted
from core.presets import Preset
from core.presets.brief import brief
from core.pricing import Price
from core.services import presets

PREFIX = "vitrine/"
NEWER_PARAMETERS = re.compile(r"(gpt-5|o\d)")
"""Take max_completion_tokens and refuse a temperature (platform.openai.com/docs/guides/reasoning)."""
OURS, THEIRS = "vitrine", "endpoint"

FindPreset = Callable[[str], Preset | None]
"""The preset of a name; None where there is none that a chat may name."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model, or a preset, which asks the default model."""

    name: str
    owner: str
    title: str
    price: Price | None
    """None where the price table does not know the model."""


def served(desk: Desk, account_id: str) -> Iterator[Served]:
    """The models, the default one first and those for embeddings last, then the account's presets by name."""
    settings = desk.settings
    for name in dict.fromkeys((*settings.models, *settings.embedding_models)):
        yield Served(name, THEIRS, name, desk.prices.find(name))
    default = desk.prices.find(settings.vision_model)
    for preset in presets.listing(desk, account_id):
        if preset.is_plain:
            yield Served(PREFIX + preset.name, OURS, preset.title, default)


def find(desk: Desk, account_id: str, name: str) -> Served:
    """One of them. Raises ModelNotFound."""
    found = next((model for model in served(desk, account_id) if model.name == name), None)
    if found is None:
        raise _unknown(name)
    return found


def preset_finder(desk: Desk, account_id: str) -> FindPreset:
    """What finds the presets that an account's requests name, and looks for each of them once."""

    @cache
    def found(name: str) -> Preset | None:
        try:
            preset = presets.find(desk, account_id, name) if name else None
        except InvalidRequest:
            return None
        return preset if preset and preset.is_plain else None

    return found


def with_preset(desk: Desk, body: dict[str, Any], find_preset: FindPreset) -> dict[str, Any]:
    """The body of a chat; where its model is a preset, with that prompt and schema.

    Raises ModelNotFound.
    """
    name = body.get("model")
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return body
    preset = find_preset(name.removeprefix(PREFIX))
    if preset is None:
        raise _unknown(name)
    asked = brief(preset)
    prompt = {"role": "system", "content": "\n".join([asked.prompt, *asked.options_told])}
    form = {"response_format": asked.response_format} if asked.response_format else {}
    said = {"model": desk.settings.vision_model, "messages": [prompt, *body["messages"]]}
    return {**form, **body, **said}


def sampling(model: str, max_tokens: int, temperature: float) -> dict[str, Any]:
    """The fields that tell a model how long its answer may be, and how free."""
    if NEWER_PARAMETERS.match(model):
        return {"max_completion_tokens": max_tokens}
    return {"max_tokens": max_tokens, "temperature": temperature}


def _unknown(name: str) -> ModelNotFound:
    return ModelNotFound(f"The model {quoted(name)} is not served here.", details={"field": "model"})

"""/v1/models: what may be asked here, with what it costs."""

from __future__ import annotations

from typing import Any

from core.pricing import CURRENCY
from core.services import models
from core.services.keys import Scope
from webapp.openai_api.errors import OpenAIBlueprint
from webapp.operations import desk, key, may_answer, signed_in
from webapp.schemas.openai_models import Model, ModelList

blueprint = OpenAIBlueprint("openai_models", __name__, description="Models, in the shape of the OpenAI API.")


@blueprint.route("/models", methods=["GET"])
@blueprint.response(200, ModelList)
@signed_in(Scope.READ)
def listing() -> Any:
    """List the models of the endpoint, and the presets that a chat may name."""
    return {"object": "list", "data": [_shown(model) for model in models.served(desk(), key().account_id)]}


@blueprint.route("/models/<path:name>", methods=["GET"])
@blueprint.response(200, Model)
@signed_in(Scope.READ)
@may_answer(404)
def retrieve(name: str) -> Any:
    """Look at a model or a preset."""
    return _shown(models.find(desk(), key().account_id, name))


def _shown(model: models.Served) -> dict[str, Any]:
    settings = desk().settings
    price = model.price and {
        "input": float(model.price.input),
        "cached_input": float(model.price.cached_input),
        "output": float(model.price.output),
        "currency": CURRENCY,
        "per_tokens": 1_000_000,
        "as_of": model.price.as_of,
    }
    limits = {
        "max_images": settings.max_images,
        "max_image_bytes": settings.max_file_size,
        "max_image_pixels": settings.max_image_pixels,
    }
    return {
        "id": model.name,
        "object": "model",
        "created": 0,  # that API wants a time here, and nobody knows one
        "owned_by": model.owner,
        "title": model.title,
        "price": price,
        "limits": limits,
    }

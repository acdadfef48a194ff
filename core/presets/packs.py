"""The packs that presets are made from: a JSON object each, also those of the built-in ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from core import json_schemas
from core.errors import InvalidRequest
from core.presets import answer_fields
from core.presets.answer_fields import Problem
from core.presets.brief import merged
from core.presets.preset import Preset

SHAPE = json.loads(Path(__file__).with_name("pack.schema.json").read_text())


def preset_of(name: str, version: int, pack: Mapping[str, Any], preset_id: str | None = None) -> Preset:
    """The preset that a sound pack makes."""
    return Preset(name=name, version=version, id=preset_id, **pack)


def check(pack: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for a pack that makes no preset."""
    problem = next(Draft202012Validator(SHAPE).iter_errors(dict(pack)), None)
    if problem is not None:
        where = problem.json_path.removeprefix("$.")
        raise InvalidRequest(f"{where}: {problem.message[:200]}.", details={"field": where})
    schema, variants = pack.get("schema"), pack.get("variants", [])
    patches = [variant["schema"] for variant in variants if "schema" in variant]
    _check_schemas(pack, variants)
    whole = reduce(merged, patches, schema or {})
    if patches:
        json_schemas.check(whole, "variants")
    for patch in patches:
        json_schemas.check(merged(schema or {}, patch), "variants")
    for field, why in (*_model_problems(pack), *_choice_problems(pack), *answer_fields.problems(pack, whole)):
        raise InvalidRequest(f"{field}: {why}", details={"field": field})


def _model_problems(pack: Mapping[str, Any]) -> Iterator[Problem]:
    models = pack.get("models")
    if not models:
        return
    if pack.get("choices"):
        yield "models", "a preset that sorts has no cascade."
    if pack.get("schema") is None:
        yield "models", "nothing tells whether a first answer is enough without a schema."
    if models["first"] == models["stronger"]:
        yield "models.stronger", "must be another model than the first."


def _choice_problems(pack: Mapping[str, Any]) -> Iterator[Problem]:
    """What keeps the option from naming a taxonomy."""
    if name := pack.get("choices"):
        option = ((pack.get("options") or {}).get("properties") or {}).get(name)
        if option is None:
            yield "choices", f"there is no option {name!r} under properties of options."


def _check_schemas(pack: Mapping[str, Any], variants: list[Mapping[str, Any]]) -> None:
    for name in ("schema", "options"):
        if pack.get(name) is not None:
            json_schemas.check(pack[name], name)
    for place, variant in enumerate(variants):
        json_schemas.check(variant["when"], f"variants[{place}].when")

"""Presets as a resource: built-in ones and the account's own."""

from __future__ import annotations

from typing import Any

from flask import g
from flask_smorest import Blueprint

from core.errors import NotFound
from core.presets import Preset
from core.pricing import WorstCase
from core.services import analyses, presets, trials
from core.services.analyses import Submission
from core.services.keys import Scope
from core.services.planning import together
from core.services.trials import Rehearsal
from webapp import present
from webapp.api.analyses import awaited, images_of, views_of
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.schemas.presets import (
    DeletedPreset,
    PresetJson,
    PresetList,
    PresetVersions,
    PresetView,
    TryJson,
    TryView,
    VersionQuery,
)

blueprint = Blueprint("presets", __name__, description="Named prompts with the form of their answers.")


@blueprint.route("/presets", methods=["GET"])
@blueprint.response(200, PresetList)
@signed_in(Scope.READ)
def listing() -> Any:
    """List the presets that a submission may name, each in its newest version."""
    return {"data": [_shown(preset) for preset in presets.listing(desk(), key().account_id)]}


@blueprint.route("/presets", methods=["POST"])
@blueprint.response(201, PresetView, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=PresetJson)
@idempotent
def create(body: dict[str, Any]) -> Any:
    """Store a preset of the account's own, or the next version of one."""
    return _shown(presets.create(desk(), key().account_id, body.pop("name"), body, once()))


@blueprint.route("/presets/<string:name>", methods=["GET"])
@blueprint.response(200, PresetVersions)
@signed_in(Scope.READ)
@takes_query(VersionQuery)
@may_answer(404)
def one(query: dict[str, Any], name: str) -> Any:
    """Look at a preset, in its newest version or another."""
    found = presets.versions(desk(), key().account_id, name)
    shown = [preset for preset in found if preset.version == query.get("version", found[0].version)]
    if not shown:
        raise NotFound(f"The preset {name!r} has no version {query['version']}.")
    versions = [{"version": preset.version, "title": preset.title} for preset in found]
    return _shown(shown[0]) | {"versions": versions}


@blueprint.route("/presets/<string:name>", methods=["DELETE"])
@blueprint.response(200, DeletedPreset)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def delete(name: str) -> Any:
    """Delete a preset of the account's own; analyses that name it already keep it."""
    presets.delete(desk(), key().account_id, name)
    return {"name": name, "object": "preset", "deleted": True}


@blueprint.route("/presets/<string:name>/try", methods=["POST"])
@blueprint.response(200, TryView, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=TryJson)
@idempotent
def try_out(body: dict[str, Any], name: str) -> Any:
    """Show what a preset would send, and make the paid call only with `run`: a trial, and marked as one."""
    account_id, runs, wait = key().account_id, body.pop("run"), body.pop("wait")
    preset = presets.versions(desk(), account_id, name)[0]
    views = views_of(body)
    images = images_of(body)
    rehearsal = trials.rehearse(desk(), account_id, preset, body, images, views)
    found = None
    if runs:
        submission = Submission(images=images, views=views, preset=name, is_trial=True, **body)
        found = awaited(analyses.submit(desk(), key(), submission, g.request_id, once()).id, wait)
    return _rehearsed(rehearsal) | {"analysis": found and present.analysis(found)}


def _rehearsed(rehearsal: Rehearsal) -> dict[str, Any]:
    return {
        "preset": rehearsal.preset.name,
        "preset_version": rehearsal.preset.version,
        "model": rehearsal.model,
        "stronger_model": rehearsal.stronger_model,
        "messages": rehearsal.messages,
        "response_format": rehearsal.response_format,
        "calls": [
            {"purpose": call.purpose, "model": call.model, **_worst(call.worst)} for call in rehearsal.calls
        ],
        **_worst(together(rehearsal.calls)),
    }


def _worst(worst: WorstCase) -> dict[str, Any]:
    cost = worst.cost
    return {"worst_tokens": worst.tokens, "worst_cost": None if cost is None else float(cost)}


def _shown(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "object": "preset",
        "version": preset.version,
        "built_in": preset.id is None,
        "title": preset.title,
        "prompt": preset.prompt,
        "question": preset.question,
        "detail": preset.detail,
        "max_image_tokens": preset.max_image_tokens,
        "schema": preset.schema,
        "options": preset.options,
        "variants": list(preset.variants),
        "found_field": preset.found_field,
        "brand_field": preset.brand_field,
        "boxes": list(preset.boxes),
        "box_image": preset.box_image,
        "choices": preset.choices,
        "models": preset.models,
    }

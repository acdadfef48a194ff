"""Presets: those that are built in and an account's own, which one a submission means, and what it asks.

An account's own cannot take a name that is built in. Should a later release build in a name that an account
has, the account's own is meant there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core import json_schemas
from core.desk import Desk
from core.errors import Conflict, InvalidRequest, NotFound, WrongState, quoted
from core.ids import new_id
from core.image_sizes import SMALLEST_SIDE
from core.models import OwnPreset
from core.presets import Preset
from core.presets.brief import Brief, brief
from core.presets.packs import check, preset_of
from core.presets.preset import MEASURE
from core.services import idempotency, taxonomies
from core.services.idempotency import Once
from core.store import presets
from core.store.claims import Claim

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
MOST_VERSIONS = 2_000
"""Of all presets of an account together."""


def find(desk: Desk, account_id: str | None, name: str | None) -> Preset:
    """The newest version of the preset that a submission names. Raises InvalidRequest."""
    if name and account_id and NAME.fullmatch(name):
        with desk.database.transaction() as session:
            own = presets.latest(session, account_id, name)
            names = [] if own or name in desk.presets else presets.newest(session, account_id)
        if own:
            return _own(own)
        if names:
            raise _unknown(name, [*desk.presets.names(), *(row.name for row in names)])
    return desk.presets.latest(name)


def check_form(
    desk: Desk, account_id: str, preset: Preset, options: Mapping[str, Any] | None, response_format: Any
) -> None:
    """Raises InvalidRequest for options that the preset does not take, or a form that cannot be asked for."""
    preset.check(options)
    taxonomies.demand(desk, account_id, preset, options)
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
    preset = stored(desk, claimed.preset, claimed.preset_version, claimed.preset_id)
    return brief(preset, claimed.preset_options, claimed.response_format)


def stored(desk: Desk, name: str, version: int, preset_id: str | None) -> Preset:
    """The very version that a stored analysis names."""
    if preset_id is None:
        return desk.presets.version(name, version)
    with desk.database.transaction() as session:
        return _own(presets.one(session, preset_id))


def listing(desk: Desk, account_id: str) -> list[Preset]:
    """The newest version of each preset that the account may name, by name."""
    with desk.database.transaction() as session:
        own = {row.name: _own(row) for row in presets.newest(session, account_id)}
    built_in = {name: desk.presets.latest(name) for name in desk.presets.names()}
    return [preset for _, preset in sorted((built_in | own).items())]


def versions(desk: Desk, account_id: str, name: str) -> list[Preset]:
    """Every version of one preset, the newest first. Raises NotFound."""
    if NAME.fullmatch(name):
        with desk.database.transaction() as session:
            own = presets.versions(session, account_id, name)
        if own:
            return [_own(row) for row in own]
    if name not in desk.presets:
        raise NotFound(f"There is no preset {quoted(name)}.")
    return desk.presets.versions(name)


def create(
    desk: Desk, account_id: str, name: str, pack: Mapping[str, Any], once: Once | None = None
) -> Preset:
    """Store a pack as the next version of the account's own preset.

    What `once` has made before is given instead. Raises InvalidRequest, Conflict, IdempotencyMismatch;
    NotFound where that was deleted.
    """
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            "name: use 1 to 64 small letters, digits, _ and -, a letter or digit first.",
            details={"field": "name"},
        )
    if name in desk.presets:
        raise Conflict(f"{name!r} is built in: give your own preset another name.", details={"field": "name"})
    check(pack)
    _check_models(desk, pack.get("models") or {})
    _check_image_tokens(desk, pack)
    preset_id = new_id("preset")
    with desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, preset_id):
            return _seen(presets.one(session, earlier))
        if presets.count(session, account_id) >= MOST_VERSIONS:
            raise Conflict(f"An account has at most {MOST_VERSIONS:,} versions of presets.")
        return _own(presets.add(session, preset_id, account_id, name, pack))


def delete(desk: Desk, account_id: str, name: str) -> None:
    """Let the account's own preset be gone for new analyses. Raises NotFound; WrongState for a built-in."""
    with desk.database.transaction() as session:
        found = bool(NAME.fullmatch(name)) and presets.remove(session, account_id, name)
    if not found and name in desk.presets:
        raise WrongState(f"{name!r} is built in, and stays.")
    if not found:
        raise NotFound(f"There is no preset {quoted(name)}.")


def _check_models(desk: Desk, models: Mapping[str, Any]) -> None:
    for name in ("first", "stronger"):
        if name in models and models[name] not in desk.settings.models:
            known = ", ".join(desk.settings.models)
            raise InvalidRequest(
                f"The model {models[name]!r} is not served here; these are: {known}.",
                details={"field": f"models.{name}"},
            )


def _check_image_tokens(desk: Desk, pack: Mapping[str, Any]) -> None:
    """Raises InvalidRequest where an image can take so few tokens of no model that may be asked."""
    models = [pack["models"]["first"]] if pack.get("models") else desk.settings.models
    detail, most = pack.get("detail") or "auto", pack.get("max_image_tokens")
    problems = [too_few_tokens(desk, model, detail, most) for model in models]
    if problems and all(problems):
        raise InvalidRequest(f"max_image_tokens: {problems[0]}", details={"field": "max_image_tokens"})


def too_few_tokens(desk: Desk, model: str, detail: str, most: int | None) -> str | None:
    """Why no image with that `detail` can be made to take so few tokens of a model; None where one can."""
    if most is None:
        return None
    least = desk.prices.image_tokens(model, [(SMALLEST_SIDE, SMALLEST_SIDE)], detail)
    if most >= least:
        return None
    smaller = desk.prices.image_tokens(model, [(SMALLEST_SIDE, SMALLEST_SIDE)], "low")
    instead = ", or ask with detail low" if smaller <= most else ""
    return (
        f"With detail {detail}, the smallest image takes {least:,} tokens of {model}, as far as is known"
        f" (allow {least:,} or more{instead})."
    )


def check_cascade(
    desk: Desk, preset: Preset, model: str | None, stronger: str | None, response_format: Any
) -> None:
    """Raises InvalidRequest for a stronger model that is not served, or could not be seen to be needed."""
    if stronger is None or stronger == (preset.models or {}).get("stronger"):
        return
    first, _ = models_of(desk, preset, model, stronger)
    known = desk.settings.models
    if stronger not in known:
        why = f"{stronger!r} is not served here; these are: {', '.join(known)}."
    elif stronger == first:
        why = f"Must be another model than the first, which is {first!r}."
    elif preset.choices or preset.method == MEASURE or (preset.schema is None and response_format is None):
        why = f"The preset {preset.name!r} has no cascade: nothing tells whether its first answer is enough."
    else:
        return
    raise InvalidRequest(f"stronger_model: {why}", details={"field": "stronger_model"})


def models_of(
    desk: Desk, preset: Preset, model: str | None, stronger: str | None = None
) -> tuple[str, str | None]:
    """The model that is asked, and the stronger one of a cascade.

    Who names a model gets that one alone, unless they name a stronger one too.
    """
    if stronger is not None:
        return model or (preset.models or {}).get("first") or desk.settings.vision_model, stronger
    if model is None and preset.models is not None:
        return preset.models["first"], preset.models["stronger"]
    return model or desk.settings.vision_model, None


def _own(row: OwnPreset) -> Preset:
    return preset_of(row.name, row.version, row.pack, row.id)


def _seen(row: OwnPreset) -> Preset:
    if row.deleted_at is not None:
        raise NotFound(f"There is no preset {row.name!r}.")
    return _own(row)


def _unknown(name: str, known: list[str]) -> InvalidRequest:
    return InvalidRequest(
        f"There is no preset {name!r}; there are: {', '.join(sorted(known)[:50])}.",
        details={"field": "preset"},
    )

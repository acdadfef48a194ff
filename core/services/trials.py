"""Trials of a preset: what would be sent, and what that would cost, without sending it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.desk import Desk
from core.errors import InvalidRequest, NotFound
from core.image_header import HEAD, size_of
from core.image_sizes import Sizing
from core.models import File
from core.presets import Preset
from core.presets.brief import Brief, brief
from core.presets.choices import listed, longest_way, narrowed
from core.presets.messages import Message, Size, build, hints, told
from core.presets.preset import MEASURE
from core.services import brands, taxonomies
from core.services.analyses import Image, check_views, owned_images
from core.services.files import Upload, check_images
from core.services.planning import Plan, PlannedCall, Step
from core.services.presets import check_cascade, check_form, models_of

PICTURE = "…"
"""Stands for the data URL of an image."""
JPEG = b"\xff\xd8\xff"
IN_WORDS = "prompt"
"""STRUCTURED_OUTPUT where no endpoint is held to a schema."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What one analysis would send; where it is measured, nothing."""

    preset: Preset
    model: str | None = None
    stronger_model: str | None = None
    messages: Sequence[Message] = ()
    """Of the first call."""
    response_format: dict[str, Any] | None = None
    calls: Sequence[PlannedCall] = ()
    """All that may have to be made; images that nobody has seen are not counted."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """What a preset is tried with."""

    question: str | None
    context: str | None
    detail: str
    views: Sequence[str | None]


def rehearse(
    desk: Desk,
    account_id: str,
    preset: Preset,
    asked: Mapping[str, Any],
    images: Sequence[Image],
    views: Sequence[str | None],
) -> Rehearsal:
    """What a preset makes of a question.

    Raises InvalidRequest for options, models or views that it does not take, NotFound for images that are
    not the account's, InvalidImage, UnsupportedMediaType.
    """
    model, stronger = _models(desk, account_id, preset, asked)
    known = _known(desk, account_id, images, views)
    if preset.method == MEASURE:
        return Rehearsal(preset)
    sizing = Sizing(desk.prices.counting(model).rule, preset.detail, preset.max_image_tokens)
    sizes = [_sent_size(desk, image, known, sizing) for image in images]
    tried = _Tried(asked.get("question"), asked.get("context"), preset.detail, views)
    made = brief(preset, asked.get("preset_options"))
    steps = [
        _step(desk, each, build(each, tried, more, [PICTURE] * len(images)))
        for each, more in _asked(desk, account_id, made, sizes)
    ]
    most = asked.get("max_tokens") or desk.settings.default_max_tokens
    plan = Plan(desk, model, stronger, [size for size in sizes if size], most)
    return Rehearsal(
        preset, model, stronger, steps[0].messages, steps[0].response_format, list(plan.calls(steps))
    )


def _models(desk: Desk, account_id: str, preset: Preset, asked: Mapping[str, Any]) -> tuple[str, str | None]:
    """The model that is asked, and the stronger one, of a submission that makes sense."""
    wanted, stronger = asked.get("model"), asked.get("stronger_model")
    check_form(desk, account_id, preset, asked.get("preset_options"), None)
    check_cascade(desk, preset, wanted, stronger, None)
    if wanted and wanted not in desk.settings.models:
        known = ", ".join(desk.settings.models)
        raise InvalidRequest(
            f"The model {wanted!r} is not served here; these are: {known}.", details={"field": "model"}
        )
    return models_of(desk, preset, wanted, stronger)


def _known(
    desk: Desk, account_id: str, images: Sequence[Image], views: Sequence[str | None]
) -> dict[str, File]:
    """The files that are named, once all images are found to be such as a submission may have."""
    if len(images) > desk.settings.max_images:
        raise InvalidRequest(
            f"An analysis takes at most {desk.settings.max_images} images.", details={"field": "images"}
        )
    check_views(views, len(images))
    check_images(desk, [image for image in images if isinstance(image, Upload)])
    with desk.database.transaction() as session:
        return owned_images(session, account_id, images)


def _asked(
    desk: Desk, account_id: str, made: Brief, sizes: Sequence[Size]
) -> Iterator[tuple[Brief, list[str]]]:
    """What is asked one after the other where everything takes its longest way, and the hints to each."""
    known = brands.first_names(desk, account_id) if made.brand_field else ()
    said = hints(made, known, sizes)
    if not made.choices:
        yield made, said
        return
    tree = taxonomies.tree(desk, account_id, made.options[made.choices])
    for choice in longest_way(tree):
        yield narrowed(made, choice), [*said, listed(tree, choice)]


def _step(desk: Desk, made: Brief, messages: list[Message]) -> Step:
    has_form = made.schema is not None
    if has_form and desk.settings.structured_output == IN_WORDS:
        return Step(told(messages, made), None, has_form)
    return Step(messages, made.response_format, has_form)


def _sent_size(desk: Desk, image: Image, known: Mapping[str, File], sizing: Sizing) -> Size:
    """The size at which an image would be sent; None where its first bytes do not say, or are elsewhere."""
    head = _head(desk, image, known)
    size = size_of(head, upright=True)
    return size and sizing.size(*size, is_jpeg=head.startswith(JPEG))


def _head(desk: Desk, image: Image, known: Mapping[str, File]) -> bytes:
    """How an image begins; nothing where that is not here."""
    if isinstance(image, Upload):
        image.content.seek(0)
        return image.content.read(HEAD)
    if not isinstance(image, str):
        return b""
    file = known[image]
    try:
        return b"".join(desk.blobs.pieces(file.digest, 0, min(HEAD, file.byte_size)))
    except NotFound:
        return b""

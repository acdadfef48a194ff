"""What is done to an answer that fits before it is recorded: boxes in the original's pixels, known brands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.boxes import Frame
from core.brands import Match
from core.desk import Desk
from core.errors import InvalidOutput
from core.presets import answer_fields
from core.presets.brief import Brief
from core.services import brands
from core.services.outcomes import Answer, Claim
from worker.imaging import Prepared

FURTHEST = 1e9
"""Pixels: a coordinate beyond, infinite or too long for a float, is on no image."""


def finish(desk: Desk, claimed: Claim, brief: Brief, images: Sequence[Prepared], answer: Answer) -> Answer:
    """The answer with what its preset adds to it. Raises InvalidOutput for a box on no image."""
    if not isinstance(answer.data, dict) or not (brief.boxes or brief.brand_field):
        return answer
    data = dict(answer.data)
    _demand_agreement(brief, data)
    number = _number(brief, data, len(images))
    for name in brief.boxes:
        data |= _placed(name, data.get(name), images[(number or 1) - 1])
    if brief.box_image:
        data[answer_fields.view(brief.box_image)] = number and claimed.views[number - 1]
    if brief.brand_field:
        data[answer_fields.BRAND] = _brand(desk, claimed.account_id, data.get(brief.brand_field))
    return replace(answer, data=data)


def _demand_agreement(brief: Brief, data: Mapping[str, Any]) -> None:
    """Raises InvalidOutput where nothing is found, and yet is told."""
    told = [name for name in (brief.brand_field, *brief.boxes) if name and data.get(name)]
    if brief.found_field and data.get(brief.found_field) is False and told:
        raise InvalidOutput(f"{brief.found_field} is false, but {told[0]} is not null.")


def _number(brief: Brief, data: Mapping[str, Any], images: int) -> int | None:
    """Which image the boxes of an answer are on, from 1; None where there are none."""
    number = data.get(brief.box_image) if brief.box_image else 1
    has_boxes = any(data.get(name) for name in brief.boxes)
    if number is None and (images == 1 or not has_boxes):
        return 1 if has_boxes else None
    if not isinstance(number, int | float) or not 1 <= number <= images:
        told = "null" if number is None else str(number)[:20]
        raise InvalidOutput(
            f"{brief.box_image} is {told}: say on which of the {images} images it is, counted from 1."
        )
    return int(number)


def _placed(name: str, box: Any, image: Prepared) -> dict[str, Any]:
    frame = Frame(
        (image.width, image.height), (image.original_width, image.original_height), image.orientation
    )
    upright = frame.upright(box) if _is_box(box) else None
    return {
        name: upright,
        answer_fields.stored(name): upright and frame.stored(upright),
        answer_fields.share(name): upright and frame.share(upright),
    }


def _is_box(box: Any) -> bool:
    if not isinstance(box, Mapping):
        return False
    numbers = [box.get(name) for name in answer_fields.CORNERS]
    return all(isinstance(number, int | float) and abs(number) < FURTHEST for number in numbers)


def _brand(desk: Desk, account_id: str, name: Any) -> dict[str, Any] | None:
    """Which of the account's brands is meant; one that it does not know is told as such.

    So is one that could be any of several, with these as its `candidates`.
    """
    if not isinstance(name, str) or not name.strip():
        return None
    likely = brands.registry(desk, account_id).likely(name[:200])
    if len(likely) != 1:
        return {"known": False, "id": None, "name": name, "score": None, "candidates": _told(likely)}
    return {"known": True, **_told(likely)[0], "candidates": []}


def _told(matches: Sequence[Match]) -> list[dict[str, Any]]:
    return [{"id": match.brand.id, "name": match.brand.name, "score": match.score} for match in matches]

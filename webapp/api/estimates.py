"""What a submission would take, without making it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from flask_smorest import Blueprint

from core import json_schemas
from core.services import estimates
from core.services.files import check_images
from core.services.items import DEFAULTS, FIELDS, Item, Items, uploads_of
from core.services.keys import Scope
from core.services.problems import Problems, Refusal
from core.services.rows import OF_IMAGES, Picture, Row
from webapp import present
from webapp.batch_inputs import defaults_of, rows_of, sent
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body
from webapp.schemas.estimates import EstimateForm, EstimateJson, EstimateView
from webapp.uploads import received

blueprint = Blueprint("estimates", __name__, description="What a submission would take, without making it.")


@blueprint.route("/estimate", methods=["POST"])
@blueprint.response(200, EstimateView, headers=DOCUMENTED)
@signed_in(Scope.READ)
@limited(Counted.SUBMISSIONS)
@takes_body(json=EstimateJson, multipart=EstimateForm)
@may_answer(404)
def estimate(body: dict[str, Any]) -> Any:
    """Estimate tokens, cost and time of an analysis or a batch."""
    with _items(body) as items:
        return present.estimate(estimates.estimate(desk(), key().account_id, items))


@contextmanager
def _items(body: dict[str, Any]) -> Iterator[list[Item]]:
    """The items that the body of an analysis or of a batch would make; their images can be read meanwhile."""
    if "file" in body or ("images" in body and not _are_files(body["images"])):
        if "response_format" in body:  # of an item, an empty one is as if left out
            json_schemas.schema_of(body["response_format"])
        items = _reader({}, Refusal()).read([(1, _analysis(body))])
        check_images(desk(), uploads_of(items))
        yield items
        return
    group_by = body.get("group_by")
    with rows_of(body, group_by) as rows:
        yield _reader(defaults_of(body), Problems(then="")).read(rows, grouped=group_by is not None)


def _analysis(body: dict[str, Any]) -> Row:
    """The body of an analysis as the one item of a submission."""
    images, views = [received(file) for file in body.get("file", [])] or body["images"], body.get("view", [])
    fields = {name: body[name] for name in (FIELDS - OF_IMAGES) & body.keys()}
    pictures = [Picture(1, image, view) for image, view in zip_longest(images, views)]
    return Row(1, "analysis", fields, pictures)


def _are_files(images: list[Any]) -> bool:
    """Whether they came as parts of a form, and so are a batch."""
    return all(hasattr(image, "stream") for image in images)


def _reader(defaults: dict[str, Any], problems: Problems) -> Items:
    known = {name: value for name, value in defaults.items() if name in DEFAULTS}
    return Items(desk(), key().account_id, known, sent, measured=True, problems=problems)

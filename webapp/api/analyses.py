"""Analyses as a resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, url_for
from flask_smorest import Blueprint

from core.models import Analysis
from core.services import analyses, image_urls
from core.services.analyses import Image, Submission
from core.services.files import Upload
from core.services.keys import Scope
from core.states import FINAL
from webapp import present, stopping
from webapp.idempotency import idempotent, once
from webapp.limits import Counted
from webapp.operations import MADE, desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.schemas.analyses import AnalysisPage, AnalysisView, Deleted, PageQuery, WaitQuery
from webapp.schemas.submissions import SubmitForm, SubmitJson
from webapp.streams import streams
from webapp.uploads import received, spooled

RETRY_AFTER = 2
"""Seconds until looking again makes sense; an answer takes 1 to 3."""

blueprint = Blueprint(
    "analyses", __name__, description="One question about one or more images, and its answer."
)


@blueprint.route("/analyses", methods=["POST"])
@blueprint.response(202, AnalysisView, headers=MADE)
@blueprint.alt_response(
    200, schema=AnalysisView, description="Answered within `wait`.", headers=MADE, success=True
)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=SubmitJson, multipart=SubmitForm)
@idempotent
def submit(body: dict[str, Any]) -> Any:
    """Submit images and a question."""
    wait = body.pop("wait", 0)
    views = views_of(body)
    submission = Submission(images=images_of(body), views=views, **body)
    found = analyses.submit(desk(), key(), submission, g.request_id, once())
    if wait:
        found = awaited(found.id, wait)
    return present.analysis(found), 200 if found.state in FINAL else 202, headers_of(found)


@blueprint.route("/analyses", methods=["GET"])
@blueprint.response(200, AnalysisPage)
@signed_in(Scope.READ)
@takes_query(PageQuery)
def listing(query: dict[str, Any]) -> Any:
    """List analyses, the newest first."""
    limit, before, state = query.pop("limit"), query.pop("cursor", None), query.pop("status", None)
    filters = query | ({"state": state} if state else {})
    rows, more = analyses.page(desk(), key().account_id, before=before, limit=limit, filters=filters)
    return present.page([present.analysis(row) for row in rows], more=more)


@blueprint.route("/analyses/<id(an):analysis_id>", methods=["GET"])
@blueprint.response(200, AnalysisView)
@signed_in(Scope.READ)
@takes_query(WaitQuery)
@may_answer(404)
def one(query: dict[str, Any], analysis_id: str) -> Any:
    """Look at an analysis, with `wait` as soon as it is finished."""
    wait = query["wait"]
    found = awaited(analysis_id, wait) if wait else analyses.get(desk(), key().account_id, analysis_id)
    return present.analysis(found), 200, headers_of(found)


@blueprint.route("/analyses/<id(an):analysis_id>/cancel", methods=["POST"])
@blueprint.response(200, AnalysisView)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def cancel(analysis_id: str) -> Any:
    """Cancel an analysis that is not finished."""
    return present.analysis(analyses.cancel(desk(), key().account_id, analysis_id))


@blueprint.route("/analyses/<id(an):analysis_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def delete(analysis_id: str) -> Any:
    """Delete a finished analysis, and the images that came with it unless something else uses them."""
    analyses.delete(desk(), key().account_id, analysis_id)
    return {"id": analysis_id, "object": "analysis", "deleted": True}


def awaited(analysis_id: str, seconds: float) -> Analysis:
    """The analysis as soon as it is final, or as it stands when the time is up.

    That is at once where too many wait already, and when this process stops.
    """
    with streams().place() as taken:
        return analyses.wait(
            desk(), key().account_id, analysis_id, seconds if taken else 0, is_over=stopping.has_begun
        )


def images_of(body: dict[str, Any]) -> Sequence[Image]:
    """Take the images out of a loaded body, in their order."""
    files = [received(file) for file in body.pop("file", [])]
    given = [_given(image) for image in body.pop("images", [])]
    return [*files, *given]


def views_of(body: dict[str, Any]) -> list[str | None]:
    """Take what the images of a loaded body show, in their order; nothing where nobody says it."""
    named: list[str | None] = [
        *body.pop("view", []),
        *(image.get("view") for image in body.get("images", [])),
    ]
    return named if any(named) else []


def _given(image: dict[str, Any]) -> Image:
    if "url" in image:
        return image_urls.checked(desk(), image["url"])
    return image.get("file_id") or _sent(image)


def _sent(image: dict[str, Any]) -> Upload:
    return spooled(image["base64"], image.get("name", ""))


def headers_of(found: Analysis) -> dict[str, str]:
    """Where to look and, while there is no answer, when."""
    headers = {"Location": url_for("analyses.one", analysis_id=found.id)}
    return headers if found.state in FINAL else headers | {"Retry-After": str(RETRY_AFTER)}

"""The plain endpoints people start with: they wait for the answer, and are thin over the same service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response, g, jsonify
from flask_smorest import Blueprint

from core.errors import from_code
from core.models import Analysis
from core.services import analyses
from core.services.analyses import Submission
from core.services.keys import Scope
from core.states import FINAL, AnalysisState
from webapp import present
from webapp.api.analyses import awaited, headers_of
from webapp.api.following import CANCEL, EVENT_STREAM, EVENTS, LAST_EVENT_ID, followed, told_before
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import MADE, desk, key, limited, may_answer, signed_in, takes_body, takes_headers
from webapp.schemas.plain import PlainAnswer, PlainData, PlainPending
from webapp.schemas.submissions import AskForm, AskWithContextForm, ProductForm, StreamForm
from webapp.streams import streams
from webapp.uploads import received

FAILURES = (400, 409, 429, 500, 502, 503, 504)

blueprint = Blueprint("image", __name__, description="Ask about one image and wait for the answer.")


@blueprint.route("/image/analyze", methods=["POST"])
@blueprint.response(200, PlainAnswer, headers=DOCUMENTED)
@blueprint.alt_response(202, schema=PlainPending, description="Not answered yet.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(multipart=AskForm, files=1)
@idempotent
@may_answer(*FAILURES)
def analyze(body: dict[str, Any]) -> Any:
    """Ask a question about an image."""
    return _answered(Submission(images=[received(body.pop("file"))], **body))


@blueprint.route("/image/analyze-stream", methods=["POST"])
@blueprint.response(200, content_type=EVENT_STREAM, description=EVENTS, headers=MADE)
@blueprint.alt_response(204, description="All of it was told before.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(multipart=StreamForm, files=1)
@idempotent
@takes_headers(LAST_EVENT_ID)
@may_answer(409, 429, 503)
def analyze_stream(body: dict[str, Any]) -> Response:
    """Ask a question about an image, and see the answer being made."""
    cancels, told = body.pop("on_leave") == CANCEL, told_before()
    with streams().seat() as seat:
        submission = Submission(images=[received(body.pop("file"))], stream=True, **body)
        found = analyses.submit(desk(), key(), submission, g.request_id, once())
        return followed(found, told, seat, cancels=cancels)


@blueprint.route("/image/analyze-with-context", methods=["POST"])
@blueprint.response(200, PlainAnswer, headers=DOCUMENTED)
@blueprint.alt_response(202, schema=PlainPending, description="Not answered yet.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(multipart=AskWithContextForm, files=1)
@idempotent
@may_answer(*FAILURES)
def analyze_with_context(body: dict[str, Any]) -> Any:
    """Ask a question about an image, with what the shop knows of it."""
    return _answered(Submission(images=[received(body.pop("file"))], **body))


@blueprint.route("/analyze-product", methods=["POST"])
@blueprint.response(200, PlainData, headers=DOCUMENTED)
@blueprint.alt_response(202, schema=PlainPending, description="Not answered yet.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(multipart=ProductForm, files=1)
@idempotent
@may_answer(*FAILURES)
def analyze_product(body: dict[str, Any]) -> Any:
    """Describe a product for a catalogue."""
    return _answered(Submission(images=[received(body.pop("image"))], preset="product", **body))


def _answered(submission: Submission) -> Any:
    """Submit, wait, and answer as far as it got. Raises the error that the analysis failed with."""
    found = analyses.submit(desk(), key(), submission, g.request_id, once())
    found = awaited(found.id, desk().settings.request_timeout)
    if found.state == AnalysisState.COMPLETED:
        return _plain(found)
    if found.state in FINAL:
        raise from_code(found.error_code, found.error_message or found.reason, {"analysis_id": found.id})
    return _pending(found), 202


def _plain(found: Analysis) -> dict[str, Any]:
    image = present.image(found.images[0])
    return {
        "success": True,
        "id": found.id,
        "answer": found.answer,
        "data": found.data,
        "confidence": found.confidence,
        "processing_time": present.processing_time(found),
        "timestamp": datetime.now(UTC),
        "metadata": {
            "file_name": image["file_name"],
            "file_size": image["file_size"],
            "context_provided": found.context is not None,
            "token_usage": present.usage(found),
            "cost": present.cost(found),
            "model": found.model,
            "cached": found.cached_from is not None,
            "cached_from": found.cached_from,
        },
    }


def _pending(found: Analysis) -> Response:
    """A ready response: this shape must not go through the schema of the other."""
    headers = headers_of(found)
    pending = {
        "success": True,
        "id": found.id,
        "status": found.state,
        "location": headers["Location"],
        "timestamp": datetime.now(UTC),
    }
    response = jsonify(PlainPending().dump(pending))
    response.headers.update(headers)
    return response

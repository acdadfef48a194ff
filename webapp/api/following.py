"""Analyses followed live, as server-sent events."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for
from flask_smorest import Blueprint

from core.errors import InvalidRequest
from core.models import Analysis
from core.services import analyses, keys
from core.services.keys import Scope
from webapp.hearing import hearing
from webapp.operations import desk, key, may_answer, signed_in, takes_headers, takes_query
from webapp.schemas.submissions import FollowQuery
from webapp.streams import Seat, streams, watch_for_hang_up
from webapp.token_streams import DONE, Shown, TokenStream, Told, result

EVENT_STREAM = "text/event-stream"
EVENTS = "`status`, `token`, `result` or `error`, `done`, and `closing` events."
LAST_EVENT_ID = "Last-Event-ID"
CANCEL = "cancel"


class OfAnotherStream(InvalidRequest):
    """This Last-Event-ID is none of this stream's."""


blueprint = Blueprint("following", __name__, description="Answers while they are being made.")


@blueprint.route("/analyses/<id(an):analysis_id>/stream", methods=["GET"])
@blueprint.response(200, content_type=EVENT_STREAM, description=EVENTS)
@blueprint.alt_response(204, description="All of it was told before.", success=True)
@signed_in(Scope.READ)
@takes_query(FollowQuery)
@takes_headers(LAST_EVENT_ID)
@may_answer(404)
def stream(query: dict[str, Any], analysis_id: str) -> Response:
    """Follow an analysis live; `Last-Event-ID` goes on where the last connection ended."""
    cancels = query["on_leave"] == CANCEL
    if cancels:
        keys.demand(key(), Scope.WRITE)
    found = analyses.get(desk(), key().account_id, analysis_id)
    told = told_before()
    if told is not None and told.analysis_id != analysis_id:
        raise OfAnotherStream
    with streams().seat() as seat:
        return followed(found, told, seat, cancels=cancels)


def told_before() -> Told | None:
    """What an earlier stream told the client of this request; None without one. Raises InvalidRequest."""
    last = request.headers.get(LAST_EVENT_ID)
    if not last:
        return None
    if (told := Told.read(last)) is None:
        raise OfAnotherStream
    return told


def followed(
    found: Analysis, told: Told | None, seat: Seat, *, cancels: bool, shown: Shown = result
) -> Response:
    """An analysis as a stream, from behind what its client was told of it.

    Of what a `POST` has just made nobody was told, whatever a client still remembers of another.
    """
    if told is None or told.analysis_id != found.id:
        told = Told(found.id)
    if told.stage == DONE:  # by which browsers know not to connect again
        response = Response(status=204)
    else:
        follower = TokenStream(
            desk(), hearing(), found, told, watch_for_hang_up(), cancels=cancels, shown=shown
        )
        response = seat.response(follower.events())
    response.headers["Location"] = url_for("analyses.one", analysis_id=found.id)
    return response

"""Conversations: something is said, and its answer waited for."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, g, jsonify
from flask_smorest import Blueprint

from core.desk import Desk
from core.errors import Cancelled, NotFound, from_code
from core.models import Analysis
from core.services import analyses, sessions, turns
from core.services.context import USER, Said
from core.services.keys import Scope
from core.services.turns import Turn
from core.states import FINAL, AnalysisState
from webapp import present_sessions
from webapp.api.analyses import awaited, headers_of, images_of
from webapp.api.following import CANCEL, EVENT_STREAM, EVENTS, LAST_EVENT_ID, followed, told_before
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import MADE, desk, key, limited, may_answer, signed_in, takes_body, takes_headers
from webapp.schemas.conversing import (
    ChatAnswer,
    ChatForm,
    ChatJson,
    ChatPending,
    ChatStreamForm,
    ChatStreamJson,
    OneOffJson,
)
from webapp.streams import streams

FAILURES = (400, 404, 409, 429, 500, 502, 503, 504)
STREAMED = f"{EVENTS} The `result` is what /api/chat answers, with `streamed`."
TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")

blueprint = Blueprint("conversing", __name__, description="Talk in a session, and wait for the answer.")
one_off = Blueprint("one_off", __name__, description="Ask once, without a session.")


@blueprint.route("/chat", methods=["POST"])
@blueprint.response(200, ChatAnswer, headers=DOCUMENTED)
@blueprint.alt_response(202, schema=ChatPending, description="Not answered yet.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=ChatJson, multipart=ChatForm)
@idempotent
@may_answer(*FAILURES)
def chat(body: dict[str, Any]) -> Any:
    """Say something in a session, and wait for the whole answer.

    The answer is made and kept in the session also where the client does not wait for it.
    """
    session_id = body.pop("session_id")
    made = turns.post(desk(), key(), session_id, turn_of(body), g.request_id, once())
    try:
        return _answered(made)
    except (Cancelled, NotFound):
        sessions.get(desk(), key().account_id, session_id)  # it may be the session that is gone
        raise


@blueprint.route("/chat/stream", methods=["POST"])
@blueprint.response(200, content_type=EVENT_STREAM, description=STREAMED, headers=MADE)
@blueprint.alt_response(204, description="All of it was told before.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=ChatStreamJson, multipart=ChatStreamForm)
@idempotent
@takes_headers(LAST_EVENT_ID)
@may_answer(404, 409, 429, 503)
def stream(body: dict[str, Any]) -> Response:
    """Say something in a session, and see the answer being made."""
    cancels, told, session_id = body.pop("on_leave") == CANCEL, told_before(), body.pop("session_id")
    with streams().seat() as seat:
        made = turns.post(desk(), key(), session_id, turn_of(body, streamed=True), g.request_id, once())
        found = analyses.get(desk(), key().account_id, made)
        return followed(found, told, seat, cancels=cancels, shown=partial(_result, desk()))


@one_off.route("/chat", methods=["POST"])
@one_off.response(200, ChatAnswer, headers=DOCUMENTED)
@one_off.alt_response(202, schema=ChatPending, description="Not answered yet.", headers=MADE, success=True)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=OneOffJson)
@idempotent
@may_answer(*FAILURES)
def ask(body: dict[str, Any]) -> Any:
    """Ask something once, and wait for the whole answer."""
    return _answered(turns.ask(desk(), key(), turn_of(body), g.request_id, once()))


def turn_of(body: dict[str, Any], *, streamed: bool = False) -> Turn:
    """What a loaded body says."""
    images = images_of(body)
    tools = {name: body.pop(name) for name in TOOL_FIELDS if name in body}
    said = [
        Said(each["role"], each["content"], each.get("tool_call_id")) for each in body.pop("messages", [])
    ]
    names = [f"messages.{place}" for place in range(len(said))]
    if (message := body.pop("message", None)) is not None:
        said.append(Said(USER, message))
        names.append("message")
    return Turn(said=said, names=names, images=images, tools=tools, streamed=streamed, **body)


def _result(desk: Desk, found: Analysis) -> dict[str, Any]:
    """What a `result` event shows."""
    spoken = turns.answer(desk, found.account_id, found.id)
    return dict(ChatAnswer().dump(present_sessions.answer(found, spoken)))


def _answered(analysis_id: str) -> Any:
    """The answer, or how far it got. Raises the error that the analysis failed with."""
    found = awaited(analysis_id, desk().settings.request_timeout)
    spoken = turns.answer(desk(), key().account_id, analysis_id)
    if found.state == AnalysisState.COMPLETED:
        return present_sessions.answer(found, spoken)
    if found.state in FINAL:
        raise from_code(found.error_code, found.error_message or found.reason, {"analysis_id": found.id})
    headers = headers_of(found)
    response: Response = jsonify(
        ChatPending().dump(present_sessions.pending(found, spoken, headers["Location"]))
    )
    response.headers.update(headers)
    return response, 202

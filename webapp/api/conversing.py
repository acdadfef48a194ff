"""Conversations: something is said, and its answer waited for."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify
from flask_smorest import Blueprint

from core.errors import from_code
from core.services import turns
from core.services.context import USER, Said
from core.services.keys import Scope
from core.services.turns import Turn
from core.states import FINAL, AnalysisState
from webapp import present_sessions
from webapp.api.analyses import awaited, headers_of, images_of
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import MADE, desk, key, limited, may_answer, signed_in, takes_body
from webapp.schemas.conversing import ChatAnswer, ChatForm, ChatJson, ChatPending, OneOffJson

FAILURES = (400, 404, 409, 429, 500, 502, 503, 504)
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
    return _answered(turns.post(desk(), key(), session_id, turn_of(body), g.request_id, once()))


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


def turn_of(body: dict[str, Any]) -> Turn:
    """What a loaded body says."""
    images = images_of(body)
    tools = {name: body.pop(name) for name in TOOL_FIELDS if name in body}
    said = [
        Said(each["role"], each["content"], each.get("tool_call_id")) for each in body.pop("messages", [])
    ]
    if (message := body.pop("message", None)) is not None:
        said.append(Said(USER, message))
    return Turn(said=said, images=images, tools=tools, **body)


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

"""Sessions as a resource."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_smorest import Blueprint

from core.models import ChatSession
from core.services import sessions
from core.services.context import Again
from core.services.keys import Scope
from webapp import present, present_sessions
from webapp.idempotency import idempotent, once
from webapp.limits import Counted
from webapp.operations import MADE, desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.schemas.analyses import Deleted
from webapp.schemas.sessions import (
    MessagePage,
    MessagesQuery,
    SessionDetail,
    SessionJson,
    SessionPage,
    SessionQuery,
    SessionView,
)

blueprint = Blueprint("sessions", __name__, description="Conversations with history.")


@blueprint.route("/sessions", methods=["POST"])
@blueprint.response(201, SessionView, headers=MADE)
@signed_in(Scope.WRITE)
@limited(Counted.UPLOADS)
@takes_body(json=SessionJson, optional=True)
@idempotent
def create(body: dict[str, Any]) -> Any:
    """Begin a session."""
    made = sessions.create(
        desk(),
        key(),
        system=body["system"],
        images=Again(body["images"]),
        metadata=body["metadata"],
        once=once(),
    )
    return _shown(made), 201, {"Location": url_for("sessions.one", session_id=made.id)}


@blueprint.route("/sessions", methods=["GET"])
@blueprint.response(200, SessionPage)
@signed_in(Scope.READ)
@takes_query(SessionQuery)
def listing(query: dict[str, Any]) -> Any:
    """List sessions, the newest first."""
    rows, more = sessions.page(desk(), key().account_id, before=query.get("cursor"), limit=query["limit"])
    return present.page([_shown(row) for row in rows], more=more)


@blueprint.route("/sessions/<maybe_id(sess):session_id>", methods=["GET"])
@blueprint.response(200, SessionDetail)
@signed_in(Scope.READ)
@may_answer(404)
def one(session_id: str) -> Any:
    """Look at a session."""
    found, waits_for = sessions.get(desk(), key().account_id, session_id)
    return _shown(found) | {"answering": waits_for}


@blueprint.route("/sessions/<maybe_id(sess):session_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404)
def delete(session_id: str) -> Any:
    """Delete a session with its messages, and their images unless something else uses them.

    What it waits for is cancelled.
    """
    sessions.delete(desk(), key().account_id, session_id)
    return {"id": session_id, "object": "session", "deleted": True}


@blueprint.route("/sessions/<maybe_id(sess):session_id>/messages", methods=["GET"])
@blueprint.response(200, MessagePage)
@signed_in(Scope.READ)
@takes_query(MessagesQuery)
@may_answer(404)
def messages(query: dict[str, Any], session_id: str) -> Any:
    """List the messages of a session, the oldest first, or with `order=desc` the newest."""
    rows, more = sessions.history(
        desk(),
        key().account_id,
        session_id,
        behind=query.get("cursor"),
        limit=query["limit"],
        newest=query["order"] == "desc",
    )
    return present_sessions.page(rows, more=more)


def _shown(row: ChatSession) -> dict[str, Any]:
    return present_sessions.session(row, desk().settings.session_timeout)

"""Sessions and their messages as clients send and see them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from core.services.context import Again
from core.states import AnalysisState
from webapp.schemas.analyses import CostSchema, ImageView, Problem, UsageSchema
from webapp.schemas.pages import TAKE_NEXT, PageSize, cursor
from webapp.schemas.values import Metadata, Text, Whole

LONGEST_SYSTEM = 32_000
ROLES = ("user", "assistant", "tool")
CALLS = {
    "description": "In OpenAI's shape; each wants an answer by a message of the role `tool`.",
    "example": [
        {"id": "call_1", "type": "function", "function": {"name": "stock", "arguments": '{"sku": "A-1"}'}}
    ],
}


class SessionJson(Schema):
    """A session to be made."""

    system = Text(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=LONGEST_SYSTEM),
        metadata={"description": "Said to the model before everything else, with every turn; blank is none."},
    )
    images = Text(
        load_default=Again.KEEP.value,
        validate=validate.OneOf([again.value for again in Again]),
        metadata={"description": "Which images shown earlier are shown again: all, the last ones, or none."},
    )
    metadata = Metadata(load_default=dict, metadata={"example": {"visitor": "v-1"}})

    @post_load
    def _says_something_or_nothing(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        system = data["system"]
        return data if system is None or system.strip() else {**data, "system": None}


class SessionQuery(PageSize):
    """Which page of sessions."""

    cursor = cursor("sess")


class SessionView(Schema):
    """A session."""

    id = fields.String(required=True, metadata={"example": "sess_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    object = fields.String(required=True, metadata={"enum": ["session"]})
    system = fields.String(required=True, allow_none=True)
    images = fields.String(required=True, metadata={"enum": [again.value for again in Again]})
    metadata = fields.Dict(required=True)
    message_count = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    last_used_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(
        required=True, metadata={"description": "When it is gone, unless somebody uses it before."}
    )


class SessionDetail(SessionView):
    """A session, and whether it answers just now."""

    answering = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The analysis that it waits for; until that is final it takes no message."},
    )


class SessionPage(Schema):
    """A page of sessions, the newest first."""

    data = fields.List(fields.Nested(SessionView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class MessagesQuery(PageSize):
    """Which page of a session's messages."""

    cursor = Whole(
        validate=validate.Range(0, 2**31 - 1, error=TAKE_NEXT),
        error_messages={"invalid": TAKE_NEXT},
        metadata={"description": "next_cursor of the page before."},
    )
    order = Text(load_default="asc", validate=validate.OneOf(["asc", "desc"]))


class MessageView(Schema):
    """A message; that of the assistant has the answer as soon as it is there, and what it took."""

    id = fields.String(required=True, metadata={"example": "msg_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    object = fields.String(required=True, metadata={"enum": ["message"]})
    session_id = fields.String(required=True)
    sequence = fields.Integer(required=True, metadata={"description": "Its place in the session, from 1."})
    role = fields.String(required=True, metadata={"enum": list(ROLES)})
    content = fields.String(required=True, allow_none=True)
    tool_calls = fields.List(fields.Dict(), required=True, allow_none=True, metadata=CALLS)
    tool_call_id = fields.String(required=True, allow_none=True)
    data = fields.Raw(
        required=True, allow_none=True, metadata={"description": "The answer where it has a response_format."}
    )
    images = fields.List(fields.Nested(ImageView), required=True)
    analysis_id = fields.String(required=True, metadata={"description": "The turn that it belongs to."})
    status = fields.String(
        required=True,
        metadata={
            "enum": [state.value for state in AnalysisState],
            "description": "Of its turn; one that was not answered does not go along with later ones.",
        },
    )
    error = fields.Nested(Problem, required=True, allow_none=True)
    finish_reason = fields.String(required=True, allow_none=True)
    model = fields.String(required=True, allow_none=True)
    usage = fields.Nested(UsageSchema, required=True, allow_none=True)
    cost = fields.Nested(CostSchema, required=True, allow_none=True)
    created_at = fields.DateTime(
        required=True, metadata={"description": "When it was said; of an answer, when it was asked for."}
    )
    finished_at = fields.DateTime(
        required=True,
        allow_none=True,
        metadata={"description": "Of an answer: when it was whole, or given up; null until then."},
    )


class MessagePage(Schema):
    """A page of messages, in their order or the other way round."""

    data = fields.List(fields.Nested(MessageView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.Integer(required=True, allow_none=True)

"""What is said in a conversation, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate, validates_schema

from core.image_sizes import DETAILS
from core.models.session import TOOL_CALL_ID_LENGTH
from core.services.context import TOOL, USER
from webapp.schemas.analyses import CostSchema, UsageSchema
from webapp.schemas.media import file_part
from webapp.schemas.sessions import CALLS
from webapp.schemas.submissions import DEFAULT, FORM, MOST_TOKENS, SAYS_SOMETHING, ImageSchema, on_leave
from webapp.schemas.values import Flag, JsonObject, Question, Real, Text, Whole

LONGEST_MESSAGE = 32_000
"""Characters, so that even a form has room for it."""
LONGEST_RESULT = 100_000
"""Of what a tool says."""
MOST_MESSAGES = 200
MOST_TOOLS = 128
JSON_ONLY = ("messages", "tools", "tool_choice", "parallel_tool_calls")


def _says(**more: Any) -> Question:
    return Question(
        validate=validate.Length(max=LONGEST_MESSAGE),
        metadata={
            "description": "What the user says.",
            "example": "Which of these goes with a navy coat?",
            **SAYS_SOMETHING,
        },
        **more,
    )


def _demand_names(tools: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValidationError for a tool without a type, and a function without a name of its own."""
    if not all(isinstance(tool.get("type"), str) for tool in tools):
        raise ValidationError("Each tool needs a type, such as function.")
    names = [_name_of(tool.get("function")) for tool in tools if tool["type"] == "function"]
    if not all(names):
        raise ValidationError("Each function needs a name.")
    if len(set(names)) < len(names):
        raise ValidationError("Each function needs a name of its own.")


def _name_of(function: Any) -> str:
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


class SaidSchema(Schema):
    """An answer of a tool, or something that the user says."""

    role = Text(required=True, validate=validate.OneOf([TOOL, USER]))
    content = Text(required=True, validate=validate.Length(max=LONGEST_RESULT))
    tool_call_id = Text(
        allow_none=True,  # as good as none, which is no call's
        validate=validate.Length(max=TOOL_CALL_ID_LENGTH),
        metadata={"description": "Which call a tool's message answers."},
    )


class _Answering(Schema):
    """How it is answered: two names for some things, as clients of different servers know them."""

    model = Text(validate=validate.Length(max=200), metadata=DEFAULT)
    detail = Text(load_default="auto", validate=validate.OneOf(DETAILS))
    response_format = JsonObject(metadata=FORM)

    @post_load
    def _one_name(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        longest = data.pop("max_new_tokens", None)
        if longest is not None and data.setdefault("max_tokens", longest) != longest:
            raise ValidationError("Give max_tokens or max_new_tokens, not both.", "max_new_tokens")
        if not data.pop("do_sample", True):
            data["temperature"] = 0.0
        return {**data, "model": data.get("model") or None}


class _AnsweringJson(_Answering):
    images = fields.List(fields.Nested(ImageSchema))
    max_tokens = Whole(strict=True, validate=validate.Range(1, MOST_TOKENS), metadata={"example": 500})
    max_new_tokens = Whole(
        strict=True, validate=validate.Range(1, MOST_TOKENS), metadata={"description": "max_tokens."}
    )
    temperature = Real(strict=True, validate=validate.Range(0, 2), metadata={"example": 0.2})
    do_sample = Flag(metadata={"description": "false is a temperature of 0.", "type": "boolean"})


class OneOffJson(_AnsweringJson):
    """A message outside of any session."""

    message = _says(required=True)


class ChatJson(_AnsweringJson):
    """A message in a session, or answers to the calls of the message before."""

    session_id = Text(required=True, validate=validate.Length(1, 40))
    message = _says()
    messages = fields.List(
        fields.Nested(SaidSchema),
        validate=validate.Length(1, MOST_MESSAGES),
        metadata={"description": "Answers to tool calls; `message`, where there is one, comes after them."},
    )
    tools = fields.List(
        JsonObject(),
        validate=[validate.Length(1, MOST_TOOLS), _demand_names],
        metadata={"description": "In OpenAI's shape; of this turn alone."},
    )
    tool_choice = fields.Raw(metadata={"type": ["string", "object"], "description": "In OpenAI's shape."})
    parallel_tool_calls = Flag(metadata={"type": "boolean"})

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not {"message", "messages"} & data.keys():
            raise ValidationError("Give a message, or messages.", "message")

    @validates_schema
    def _choice(self, data: dict[str, Any], **_: Any) -> None:
        if not isinstance(data.get("tool_choice", ""), str | dict):
            raise ValidationError("Must be a text or an object.", "tool_choice")


class ChatForm(_Answering):
    """The same with its images as files; tools are for JSON."""

    @pre_load
    def _no_tools(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for name in JSON_ONLY:
            if name in data:
                raise ValidationError(
                    "Send it as JSON: a form takes no tools, and no answers of tools.", name
                )
        return data

    session_id = Text(required=True, validate=validate.Length(1, 40))
    message = _says(required=True)
    file = fields.List(file_part(), data_key="images")
    max_tokens = Whole(validate=validate.Range(1, MOST_TOKENS), metadata={"example": 500})
    max_new_tokens = Whole(validate=validate.Range(1, MOST_TOKENS), metadata={"description": "max_tokens."})
    temperature = Real(validate=validate.Range(0, 2), metadata={"example": 0.2})
    do_sample = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": "false is a temperature of 0."}
    )


class ChatStreamJson(ChatJson):
    """The same, and the answer is followed."""

    on_leave = on_leave()


class ChatStreamForm(ChatForm):
    """The same, and the answer is followed."""

    on_leave = on_leave()


class ChatAnswer(Schema):
    """A whole answer."""

    success = fields.Boolean(required=True)
    session_id = fields.String(required=True, allow_none=True)
    message_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Of the answer; null outside of sessions."}
    )
    analysis_id = fields.String(required=True)
    role = fields.String(required=True, metadata={"enum": ["assistant"]})
    content = fields.String(required=True, allow_none=True)
    tool_calls = fields.List(fields.Dict(), required=True, allow_none=True, metadata=CALLS)
    data = fields.Raw(
        required=True, allow_none=True, metadata={"description": "The answer where it has a response_format."}
    )
    finish_reason = fields.String(required=True, allow_none=True)
    model = fields.String(required=True)
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    processing_time = fields.Float(required=True, allow_none=True)
    timestamp = fields.DateTime(required=True)


class ChatPending(Schema):
    """The answer takes longer than this request may: where to look for it."""

    success = fields.Boolean(required=True)
    session_id = fields.String(required=True, allow_none=True)
    message_id = fields.String(required=True, allow_none=True)
    analysis_id = fields.String(required=True)
    status = fields.String(required=True)
    location = fields.String(required=True)
    timestamp = fields.DateTime(required=True)

"""Chats as OpenAI's clients send and see them. What is sent is checked in core.services.chat."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, fields

from core.services.body_costs import MOST_TOKENS
from core.services.chat import MOST_CHOICES, ROLES

PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}},
    "description": "A text, or an image_url: a data URL with base64 or (ours) `file_id` of an uploaded file.",
}
MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "enum": list(ROLES)},
        "content": {
            "anyOf": [{"type": "string"}, {"type": "null"}, {"type": "array", "minItems": 1, "items": PART}]
        },
    },
}


def _whole(most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": most}


class ChatBody(Schema):
    """A request of OpenAI's chat API; fields that are not named here go to the endpoint as they are."""

    class Meta:
        """Whatever else comes."""

        unknown = INCLUDE

    model = fields.Raw(
        allow_none=True, metadata={"type": "string", "description": "The default where left out."}
    )
    messages = fields.Raw(required=True, metadata={"type": "array", "minItems": 1, "items": MESSAGE})
    n = fields.Raw(allow_none=True, metadata=_whole(MOST_CHOICES))
    max_tokens = fields.Raw(allow_none=True, metadata=_whole(MOST_TOKENS))
    max_completion_tokens = fields.Raw(allow_none=True, metadata=_whole(MOST_TOKENS))
    stream = fields.Raw(allow_none=True, metadata={"type": "boolean"})
    stream_options = fields.Raw(allow_none=True, metadata={"type": "object"})


class ChatCompletion(Schema):
    """What the endpoint answered, under an id of ours; further fields are passed on too."""

    class Meta:
        """Whatever else comes."""

        unknown = INCLUDE

    id = fields.String(required=True, metadata={"example": "chatcmpl-01kaj3c0dpw8w0z3f6s9q2xk7v"})
    choices = fields.List(fields.Dict(), required=True)
    usage = fields.Dict()

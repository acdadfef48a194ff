"""Errors as OpenAI's clients expect them: `{"error": {message, type, param, code}}`.

Types as its API sends them (https://platform.openai.com/docs/guides/error-codes); codes are those of
core/errors.py, but for a wrong key.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from core.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Conflict,
    RateLimitExceeded,
    RequestInFlight,
    TokenLimitExceeded,
    VitrineError,
)
from webapp import errors

PREFIX = "/v1"
TYPES: tuple[tuple[type[VitrineError], str], ...] = (
    (BudgetExceeded, "insufficient_quota"),
    (TokenLimitExceeded, "tokens"),
    (RateLimitExceeded, "requests"),
)
RETRY = "x-should-retry"
"""What OpenAI's clients obey; by themselves they would send a 409 and every 429 and 5xx again."""


class ErrorDetail(Schema):
    """What went wrong, for people (`message`) and for programs (`code`)."""

    message = fields.String(required=True)
    type = fields.String(required=True, metadata={"example": "invalid_request_error"})
    param = fields.String(required=True, allow_none=True)
    code = fields.String(required=True, allow_none=True)


class OpenAIErrorSchema(Schema):
    """An error in OpenAI's shape."""

    error = fields.Nested(ErrorDetail, required=True)


class OpenAIBlueprint(Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A blueprint of this face, whose errors are documented in its shape."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(_with_errors_in_shape)


def register(app: Flask) -> None:
    """Answer errors below /v1 in this shape."""
    errors.shape(app, PREFIX, answer)


def answer(error: VitrineError) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the headers for an error."""
    return {"error": detail(error)}, {} if _worth_repeating(error) else {RETRY: "false"}


def detail(error: VitrineError) -> dict[str, Any]:
    """What stands in the place of `error`, in answers and in streams."""
    code = "invalid_api_key" if isinstance(error, AuthenticationFailed) else error.code
    return {"message": error.message, "type": _type(error), "param": error.details.get("field"), "code": code}


def _type(error: VitrineError) -> str:
    for kind, name in TYPES:
        if isinstance(error, kind):
            return name
    return "server_error" if error.status >= 500 else "invalid_request_error"


def _worth_repeating(error: VitrineError) -> bool:
    """Whether a client may send it again by itself: not where an analysis has had all its tries."""
    if isinstance(error, RequestInFlight):
        return True
    return "analysis_id" not in error.details and not isinstance(error, Conflict | BudgetExceeded)


def _with_errors_in_shape(doc: dict[str, Any], _info: Any, **_: Any) -> dict[str, Any]:
    """The documentation of an operation, its references to our envelope put into this shape."""
    for status, response in doc.get("responses", {}).items():
        if isinstance(response, str):
            content = {"application/json": {"schema": OpenAIErrorSchema}}
            doc["responses"][status] = {"description": response.replace("_", " ").title(), "content": content}
    return doc

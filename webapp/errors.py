"""Every error as one JSON envelope, whatever raised it; below some paths in a shape of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, jsonify, request
from gunicorn.http.errors import ParseException
from marshmallow import Schema, fields
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from core.errors import (
    FileTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RangeNotSatisfiable,
    UnsupportedMediaType,
    VitrineError,
)

BY_STATUS: dict[int, type[VitrineError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    HTTPStatus.NOT_ACCEPTABLE: NotAcceptable,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: FileTooLarge,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: RangeNotSatisfiable,
}

BROKE_OFF = "The body of this request broke off, or came too slowly: send it again."
MALFORMED = "The body of this request is not in the chunks that its Transfer-Encoding promises."
Shape = Callable[[VitrineError], tuple[Mapping[str, Any], Mapping[str, str]]]
"""Makes the body and further headers of an answer."""

log = structlog.get_logger(__name__)


class ErrorSchema(Schema):
    """What went wrong, for people (`error`) and for programs (`error_code`)."""

    success = fields.Boolean(required=True, metadata={"enum": [False]})
    error = fields.String(required=True, metadata={"description": "A sentence that says what to do."})
    error_code = fields.String(required=True, metadata={"example": "invalid_request"})
    timestamp = fields.DateTime(required=True, format="iso")
    request_id = fields.String(required=True, metadata={"description": "Finds the request in the logs."})
    details = fields.Dict(required=True, metadata={"description": "Machine-readable particulars."})


def register(app: Flask) -> None:
    """Answer every error of the app with the envelope, but where another shape is asked for."""
    app.extensions["error_shapes"] = {}
    app.register_error_handler(VitrineError, answer)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(ParseException, _malformed)
    app.register_error_handler(Exception, _unexpected)


def shape(app: Flask, prefix: str, made: Shape) -> None:
    """Answer errors at a path and below it in another shape."""
    app.extensions["error_shapes"][prefix] = made


def is_asked(prefix: str) -> bool:
    """Whether the request is for a path or what is below it."""
    return f"{request.path}/".startswith(f"{prefix}/")


def answer(error: VitrineError) -> Response:
    """An error of ours as an answer."""
    body, headers = _shape()(error)
    response = jsonify(body)
    response.headers.update(headers)
    response.status_code = error.status
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="vitrine"'
    return response


def envelope(error: VitrineError) -> dict[str, Any]:
    """The body of an error answer."""
    return {
        "success": False,
        "error": error.message,
        "error_code": error.code,
        "timestamp": datetime.now(UTC).isoformat(),
        "request_id": g.get("request_id", ""),
        "details": error.details,
    }


def _shape() -> Shape:
    shapes: dict[str, Shape] = current_app.extensions["error_shapes"]
    asked = (made for prefix, made in shapes.items() if is_asked(prefix))
    return next(asked, lambda error: (envelope(error), {}))


def _http(error: HTTPException) -> Response:
    """Errors of Flask and Werkzeug in our words; redirects stay what they are."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status < HTTPStatus.BAD_REQUEST:
        return Response(error.get_body(), status, error.get_headers())
    kind = BY_STATUS.get(
        status, InvalidRequest if status < HTTPStatus.INTERNAL_SERVER_ERROR else InternalError
    )
    response = answer(kind(_message(error, kind)))
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after", "content-range"}:
            response.headers[name] = value
    return response


def _message(error: HTTPException, kind: type[VitrineError]) -> str | None:
    if isinstance(error, RequestEntityTooLarge):
        return _too_large()
    if isinstance(error, ClientDisconnected):
        return BROKE_OFF
    return error.description if kind is InvalidRequest else None


def _too_large() -> str:
    """Which limits a request may be beyond: one that is sent in chunks does not tell its length."""
    most, length = request.max_content_length or 0, request.content_length
    body = f"The body of this request may have at most {most:,} bytes."
    form = (
        f"A form may have at most {request.max_form_parts} parts,"
        f" and its text fields {request.max_form_memory_size:,} bytes together."
    )
    if length is None:
        return f"{body} {form}"
    return body if length > most else form


def _malformed(_error: ParseException) -> Response:
    """Chunks that gunicorn cannot read, which it notices while a view does; it hangs up by itself."""
    return answer(InvalidRequest(MALFORMED))


def _unexpected(error: Exception) -> Response:
    log.error("request_broke", exc_info=error)
    return answer(InternalError())

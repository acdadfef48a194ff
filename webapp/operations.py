"""What views are declared with: who may call, what comes in, what can go wrong.

Each declaration also writes its part of the OpenAPI document, which so cannot say anything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast

from flask import current_app, g, request
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields
from marshmallow.exceptions import SCHEMA
from werkzeug.datastructures import MultiDict

from config import Settings
from core.desk import Desk
from core.errors import AuthenticationFailed, InvalidRequest, UnsupportedMediaType
from core.models import ApiKey
from core.services import keys
from core.services.keys import Scope
from webapp.limits import DOCUMENTED, Counted, count
from webapp.uploads import StreamedRequest

View = Callable[..., Any]
Limit = Callable[[Settings], int]
"""Reads a number of bytes from the settings."""

JSON = "application/json"
MULTIPART = "multipart/form-data"
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}]
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `vt_…`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "metrics": {"type": "http", "scheme": "bearer", "description": "`METRICS_TOKEN`, where that is set."},
}
MADE = {"Location": {"schema": {"type": "string"}}, **DOCUMENTED}
"""Headers of an answer that tells where to find what was made; all routes that make something are limited."""
TOO_LONG = "TOO_LONG"
"""The answer to an address whose query is longer than gunicorn reads: its own, and so in HTML."""
MULTIPART_SLACK = 64 * 1024
"""Bytes allowed for the fields and borders around the files of a multipart body."""


def desk() -> Desk:
    """The desk of this app."""
    return cast("Desk", current_app.config["DESK"])


def key() -> ApiKey:
    """The key of the request."""
    return cast("ApiKey", g.key)


def signed_in(scope: Scope) -> Callable[[View], View]:
    """Only with an API key that has this scope."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            g.key = _authenticated()
            keys.demand(g.key, scope)
            return view(*args, **kwargs)

        return documented(wrapper, security=SECURITY, errors=(401, 403, 429, 503))

    return decorator


def limited(what: Counted) -> Callable[[View], View]:
    """Count a request against the limit of its key. Stands above `takes_body`: no body is read in vain."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            count(what)
            return view(*args, **kwargs)

        return wrapper  # that this may be a 429 is said by `signed_in`

    return decorator


def takes_body(
    *,
    json: type[Schema] | None = None,
    multipart: type[Schema] | None = None,
    files: int | None = None,
    upload: Limit | None = None,
    optional: bool = False,
) -> Callable[[View], View]:
    """Load the body by its content type and hand it to the view as its last argument.

    Where it is `optional`, a request without a body is one with an empty JSON object.

    `files` bounds the body to so many images; without it the limit for whole requests holds. `upload` instead
    bounds it to one file, of a size that it reads from the settings.
    """
    given = {kind: schema for kind, schema in ((JSON, json), (MULTIPART, multipart)) if schema is not None}
    schemas = {kind: schema() for kind, schema in given.items()}  # once: each makes copies of all its fields

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if optional and _is_empty():
                return view(*args, _loaded(schemas[JSON], {}), **kwargs)
            schema = schemas.get(request.mimetype)
            if schema is None:
                raise UnsupportedMediaType(f"Send the body as {' or '.join(schemas)}.")
            _bound(cast("StreamedRequest", request), files, upload=upload)
            # No name for what was read: the view may drop parts of its body as it goes.
            return view(*args, _loaded(schema, READERS[request.mimetype](schema)), **kwargs)

        content = {kind: {"schema": schema} for kind, schema in given.items()}
        body = {"required": not optional, "content": content}
        return documented(wrapper, requestBody=body, errors=(400, 413, 415))

    return decorator


def takes_query(schema: type[Schema]) -> Callable[[View], View]:
    """Load the query string and hand it to the view as its last argument."""
    loader = schema()

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return view(*args, _loaded(loader, request.args.to_dict()), **kwargs)

        described = documented(wrapper, parameters=[{"in": "query", "schema": schema}], errors=(400,))
        return _with_document_of(_answering(414, TOO_LONG)(described), described)

    return decorator


def takes_headers(*names: str) -> Callable[[View], View]:
    """Document headers that a view looks at; none of them is needed."""
    text = {"type": "string"}
    parameters = [{"in": "header", "name": name, "required": False, "schema": text} for name in names]
    return lambda view: documented(view, errors=(), parameters=parameters)


def may_answer(*statuses: int) -> Callable[[View], View]:
    """Further errors that a view may answer with."""
    return lambda view: documented(view, errors=statuses)


def documented(view: View, *, errors: tuple[int, ...], **doc: Any) -> View:
    """Write a declaration's part of the document: its errors, and what else it has to say."""
    said: dict[str, Any] = getattr(view, "_apidoc", {}).get("manual_doc", {})
    # Lists would be replaced, and each declaration knows of its own parameters only.
    doc |= {"parameters": doc["parameters"] + said.get("parameters", [])} if "parameters" in doc else {}
    written: Any = Blueprint.doc(**doc)(view) if doc else view
    for status in errors:
        written = _answering(status, HTTPStatus(status).name)(written)
    return _with_document_of(written, view)


def _answering(status: int, response: str) -> Callable[[View], View]:
    return cast(
        "Callable[[View], View]", Blueprint.alt_response(cast("Any", None), status, response=response)
    )


def _with_document_of(written: Any, view: Any) -> View:
    """The view itself, with what was written: every line of the document would be a call around each call."""
    view._apidoc = written._apidoc  # noqa: SLF001  (where flask-smorest looks for it)
    return cast("View", view)


def _authenticated() -> ApiKey:
    """The key of the request. Failures are counted by address, so that a valid key is never locked out."""
    try:
        return keys.authenticate(desk(), _secret())
    except AuthenticationFailed:
        count(Counted.FAILURES)
        raise


def _secret() -> str:
    kind, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return credentials.strip()
    return request.headers.get("X-API-Key", "").strip()


def _is_empty() -> bool:
    """Whether the request has no body, whatever type it says that has."""
    return not request.content_length and "Transfer-Encoding" not in request.headers


def _bound(received: StreamedRequest, files: int | None, *, upload: Limit | None) -> None:
    """Say how large the body and each file in it may be, before any of it is read."""
    settings = desk().settings
    if upload is not None:
        received.largest_file = upload(settings)
        received.max_content_length = received.largest_file + MULTIPART_SLACK
    elif files is None:
        received.max_content_length = settings.max_request_size
    else:
        wanted = files * settings.max_file_size + MULTIPART_SLACK
        received.max_content_length = min(wanted, settings.max_request_size)


def _json(_schema: Schema) -> dict[str, Any]:
    try:
        # Neither bytes nor text are kept: fifty thousand items are ten megabytes of each.
        body = json.loads(request.get_data(cache=False).decode("utf-8-sig"))
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    except ValueError as error:
        raise InvalidRequest("The body has a number of too many digits.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def _form(schema: Schema) -> dict[str, Any]:
    """Fields and files together; one value for a field that takes one, lists for the others."""
    together: MultiDict[str, Any] = MultiDict(request.form)
    together.update(request.files)
    alone = {
        field.data_key or name for name, field in schema.fields.items() if not isinstance(field, fields.List)
    }
    lists = together.to_dict(flat=False)
    return {
        name: values[0] if name in alone and len(values) == 1 else values for name, values in lists.items()
    }


READERS = {JSON: _json, MULTIPART: _form}


def _loaded(schema: Schema, data: dict[str, Any]) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", schema.load(data))
    except ValidationError as error:
        wrong = cast("dict[str, Any]", error.messages)
        raise InvalidRequest(
            _sentence(wrong), details={"field": next(iter(wrong)), "fields": wrong}
        ) from error


def _sentence(wrong: dict[str, Any]) -> str:
    """The first problem as a sentence, behind the path of its field; all of them are in the details."""
    path: list[str] = []
    why: Any = wrong
    while isinstance(why, dict):
        name, why = next(iter(why.items()))
        path += [] if name == SCHEMA else [str(name)]
    sentence = str(why[0] if isinstance(why, list) else why)
    return f"{'.'.join(path)}: {sentence}" if path else sentence

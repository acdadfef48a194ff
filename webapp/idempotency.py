"""Idempotency-Key: what a client sends twice is done once.

A view that makes something is declared `@idempotent` and hands `once()` to its service, which claims the key
in the transaction that makes it (core.services.idempotency). See docs/decisions/0010-idempotency.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import wraps
from typing import Any

from flask import Response, after_this_request, g, request
from werkzeug.datastructures import FileStorage

from core.errors import InvalidRequest
from core.services.idempotency import Once
from core.services.webhooks import Told
from webapp.operations import View, documented, key
from webapp.uploads import received

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
ACCEPTABLE = re.compile(r"[!-~]{1,255}")
PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": f"Makes it safe to send a request again: it is done once. A replay has `{REPLAYED}`.",
}


def idempotent(view: View) -> View:
    """Do a request with an Idempotency-Key once. Stands below `takes_body`, whose body it looks at."""

    @wraps(view)
    def wrapper(body: dict[str, Any], **places: Any) -> Any:
        g.once = _once(body, places)
        after_this_request(_marked)
        return view(body, **places)

    return documented(wrapper, parameters=[PARAMETER], errors=(400, 404, 409, 422))


def once() -> Once | None:
    """What the service of an idempotent view is given; None where the client sent no key."""
    found: Once | None = g.once
    return found


def _once(body: Mapping[str, Any], places: Mapping[str, Any]) -> Once | None:
    sent = request.headers.get(HEADER)
    if sent is None:
        return None
    if not ACCEPTABLE.fullmatch(sent):
        raise InvalidRequest(f"{HEADER} takes 1 to 255 visible ASCII characters.", details={"field": HEADER})
    return Once(
        account_id=key().account_id,
        route=str(request.url_rule),
        key=sent,
        fingerprint=fingerprint({**body, **places}),
    )


def _marked(response: Response) -> Response:
    if g.once is not None and g.once.replayed:
        response.headers[REPLAYED] = "true"
    return response


def fingerprint(body: Mapping[str, Any]) -> bytes:
    """SHA-256 of a loaded body, whatever the order of its fields; files and bytes count by their own hash.

    Lists are taken item by item: a body may hold 50,000, and needs no second copy in memory. Raises
    InvalidRequest for one that is nested too deeply.
    """
    digest = hashlib.sha256()
    try:
        for name in sorted(body):
            value = body[name]
            items = value if isinstance(value, list) else [value]
            for part in ([name, isinstance(value, list), len(items)], *items):
                digest.update(json.dumps(part, sort_keys=True, default=_identity).encode() + b"\n")
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply.") from error
    return digest.digest()


def _identity(value: Any) -> list[str]:
    """What stands for a value that JSON does not have."""
    if isinstance(value, FileStorage):
        upload = received(value)
        return [upload.name, upload.digest]
    if isinstance(value, Told):
        return [value.url, *([value.secret] if value.secret else [])]
    if isinstance(value, bytes):
        return [hashlib.sha256(value).hexdigest()]
    if isinstance(value, Decimal):
        return [str(value.normalize())]
    raise TypeError(f"A body cannot hold a {type(value).__name__}.")

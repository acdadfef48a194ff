"""Earlier answers on the /v1 face: only where a header asks for them, for it gives what the endpoint says."""

from __future__ import annotations

from flask import Response, request

from core import reuse
from core.errors import InvalidRequest
from core.services.chat import Standing

HEADER, FROM_HEADER = "X-Vitrine-Cache", "X-Vitrine-Cached-From"
DOCUMENTED = {
    FROM_HEADER: {
        "schema": {"type": "string"},
        "description": f"The analysis whose answer was given again, where `{HEADER}` allowed that.",
    }
}


def asked() -> reuse.Cache:
    """Whether this request takes an earlier answer. Raises InvalidRequest."""
    try:
        return reuse.parsed(request.headers.get(HEADER, reuse.OFF).strip().lower())
    except ValueError as error:
        raise InvalidRequest(f"{HEADER}: {error}", details={"field": HEADER}) from error


def told(response: Response, found: Standing) -> Response:
    """The response, which tells where its answer is from if that was given again."""
    if found.cached_from is not None:
        response.headers[FROM_HEADER] = found.cached_from
    return response

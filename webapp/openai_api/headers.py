"""Headers of answers on the /v1 face, by the names that OpenAI's clients know."""

from __future__ import annotations

import time

from flask import Flask, Response, g

from webapp.errors import is_asked
from webapp.openai_api.errors import PREFIX

PROCESSING = "openai-processing-ms"
LIMITS = {
    "X-RateLimit-Limit": "x-ratelimit-limit-requests",
    "X-RateLimit-Remaining": "x-ratelimit-remaining-requests",
}
RESET_AFTER, RESET = "X-RateLimit-Reset-After", "x-ratelimit-reset-requests"


def register(app: Flask) -> None:
    """Add them. Comes before the limits, for Flask runs what comes after a request backwards."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    if not is_asked(PREFIX):
        return response
    response.headers[PROCESSING] = str(round((time.monotonic() - g.get("started", time.monotonic())) * 1000))
    for ours, theirs in LIMITS.items():
        if ours in response.headers:
            response.headers[theirs] = response.headers[ours]
    if RESET_AFTER in response.headers:
        response.headers[RESET] = f"{response.headers[RESET_AFTER]}s"
    return response

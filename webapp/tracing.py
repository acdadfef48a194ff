"""One id for a request, from its header through the logs and the worker to the endpoint."""

from __future__ import annotations

import re
import time

import structlog
from flask import Flask, Response, g, request

from core import metrics
from core.ids import new_id

HEADER = "X-Request-ID"
ACCEPTABLE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
QUIET = {"/health", "/metrics"}
"""Asked every few seconds by machines; logged only when it fails."""

METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"}

log = structlog.get_logger(__name__)


def register(app: Flask) -> None:
    """Give every request an id, and every answer a log line and a place in the metrics."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if ACCEPTABLE.fullmatch(given) else new_id("req")
    g.started = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.get("request_id", "")
    response.headers["X-Content-Type-Options"] = "nosniff"
    seconds = time.monotonic() - g.get("started", time.monotonic())
    _measure(response.status_code, seconds)
    if request.path not in QUIET or response.status_code >= 400:
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
            account=g.key.account_id if "key" in g else None,
        )
    return response


def _measure(status: int, seconds: float) -> None:
    """Under the route and not the path, so that clients cannot make up new series."""
    route = request.url_rule.rule if request.url_rule else metrics.OTHER
    method = request.method if request.method in METHODS else metrics.OTHER
    metrics.REQUEST_DURATION.labels(route, method, status).observe(seconds)

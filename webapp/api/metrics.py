"""What Prometheus scrapes."""

from __future__ import annotations

import hmac
import ipaddress
from typing import cast

from flask import Response, current_app, request
from flask_smorest import Blueprint

from core.errors import AuthenticationFailed, PermissionDenied
from webapp.exposition import Exposition
from webapp.limits import Counted, count
from webapp.operations import desk, may_answer

PROXIED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""What a proxy on this machine says of a request that it passes on from elsewhere."""
TEXT = {"type": "string"}

blueprint = Blueprint(
    "metrics", __name__, description="For Prometheus: needs `METRICS_TOKEN`, or to come from this machine."
)


@blueprint.route("/metrics", methods=["GET"])
@blueprint.response(200, TEXT, content_type="text/plain", description="The Prometheus text format.")
@blueprint.doc(security=[{"metrics": []}, {}])
@may_answer(401, 403, 429, 503)
def metrics() -> Response:
    """Tell what was counted and how much there is to do."""
    _authenticate()
    text, media_type = exposition().text(request.headers.get("Accept", ""))
    return Response(text, content_type=media_type)


def exposition() -> Exposition:
    """The exposition of this app."""
    return cast("Exposition", current_app.config["EXPOSITION"])


def _authenticate() -> None:
    """Raises AuthenticationFailed, PermissionDenied or RateLimitExceeded."""
    token = desk().settings.metrics_token
    if not token:
        _demand_neighbour()
        return
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        count(Counted.FAILURES)
        raise AuthenticationFailed("Send METRICS_TOKEN: Authorization: Bearer …")


def _demand_neighbour() -> None:
    address = ipaddress.ip_address(request.remote_addr or "0.0.0.0")  # noqa: S104  (recognised, not bound)
    if not address.is_loopback or any(name in request.headers for name in PROXIED):
        raise PermissionDenied("Without METRICS_TOKEN only this machine itself may read the metrics.")

"""Whether Vitrine is alive, and whether everything that it needs is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from core.desk import Desk
from core.errors import Unavailable, VitrineError
from core.models import Worker
from core.services import fleet
from webapp import stopping
from webapp.operations import desk

OK, DOWN, DEGRADED, STOPPING = "ok", "down", "degraded", "stopping"

blueprint = Blueprint("health", __name__, description="For load balancers and operators; no API key needed.")


class Liveness(Schema):
    """This web process answers; `stopping` where it takes nothing new."""

    status = fields.String(required=True, metadata={"enum": [OK, STOPPING]})


class Check(Schema):
    """One dependency."""

    status = fields.String(required=True, metadata={"enum": [OK, DOWN, "unknown"]})
    latency_ms = fields.Float(required=True, allow_none=True)
    detail = fields.String(required=True, allow_none=True)


class Readiness(Schema):
    """Every dependency; `down` where one that matters is, `degraded` where answers will only be late."""

    status = fields.String(required=True, metadata={"enum": [OK, DEGRADED, DOWN]})
    checks = fields.Dict(keys=fields.String(), values=fields.Nested(Check), required=True)


@blueprint.route("/health", methods=["GET"])
@blueprint.response(200, Liveness)
@blueprint.alt_response(503, schema=Liveness, description="It is about to stop.")
def health() -> Any:
    """Say that this process is alive."""
    return ({"status": STOPPING}, 503) if stopping.has_begun() else {"status": OK}


@blueprint.route("/api/health", methods=["GET"])
@blueprint.response(200, Readiness)
@blueprint.alt_response(503, schema=Readiness, description="Something that matters is down.")
def readiness() -> Any:
    """Look at every dependency."""
    found = _fleet(desk())
    checks = {
        "database": _timed(desk().database.ping),
        "broker": _timed(lambda: _redis(desk())),
        "blob_store": _timed(desk().blobs.ping),
        "workers": _workers(found),
        "endpoint": _endpoint(found),
    }
    down = any(checks[name]["status"] == DOWN for name in ("database", "broker", "blob_store", "workers"))
    status = DOWN if down else OK if checks["endpoint"]["status"] == OK else DEGRADED
    return {"status": status, "checks": checks}, 503 if down else 200


def _timed(look: Callable[[], object]) -> dict[str, Any]:
    start = time.monotonic()
    try:
        look()
    except VitrineError as error:
        return {"status": DOWN, "latency_ms": None, "detail": error.message}
    return {"status": OK, "latency_ms": round((time.monotonic() - start) * 1000, 2), "detail": None}


def _redis(desk: Desk) -> None:
    try:
        desk.events.ping()
    except redis.RedisError as error:
        raise Unavailable("Redis does not answer.") from error


def _fleet(desk: Desk) -> list[Worker]:
    try:
        return fleet.seen(desk)
    except VitrineError:
        return []


def _workers(found: list[Worker]) -> dict[str, Any]:
    if not found:
        return {"status": DOWN, "latency_ms": None, "detail": "No worker was seen lately."}
    slots = sum(worker.slots for worker in found)
    return {"status": OK, "latency_ms": None, "detail": f"{len(found)} seen, {slots} slots"}


def _endpoint(found: list[Worker]) -> dict[str, Any]:
    """As the workers see it: the web tier never talks to the endpoint."""
    reports = [worker.endpoint for worker in found if worker.endpoint.get("ok") is not None]
    if not reports:
        return {"status": "unknown", "latency_ms": None, "detail": "No worker has looked at it yet."}
    if any(report.get("rest") for report in reports):
        detail = "Too many calls failed: it is left alone for a while."
        return {"status": DOWN, "latency_ms": None, "detail": detail}
    reached = [report for report in reports if report["ok"]]
    report = (reached or reports)[0]
    return {
        "status": OK if reached else DOWN,
        "latency_ms": report["latency_ms"],
        "detail": None if reached else report["error"],
    }

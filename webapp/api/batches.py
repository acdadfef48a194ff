"""Batches as a resource."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import islice
from typing import Any

from flask import g, request, url_for
from flask_smorest import Blueprint

from core.errors import InvalidRequest
from core.models import BudgetKind
from core.services import batches
from core.services.batches import Order, Standing
from core.services.items import Items
from core.services.keys import Scope
from core.states import AnalysisState
from webapp import present
from webapp.batch_inputs import defaults_of, rows_of, sent
from webapp.batch_results import whole
from webapp.feeds import START, Place, feeds
from webapp.idempotency import idempotent, once
from webapp.limits import Counted
from webapp.operations import (
    MADE,
    desk,
    key,
    limited,
    may_answer,
    signed_in,
    takes_body,
    takes_headers,
    takes_query,
)
from webapp.schemas.analyses import Deleted
from webapp.schemas.batches import (
    BatchFilesForm,
    BatchForm,
    BatchJson,
    BatchPage,
    BatchQuery,
    BatchView,
    ResultsPage,
    ResultsQuery,
    ResumeJson,
    RetryJson,
    seconds_of,
)
from webapp.streams import streams, watch_for_end, with_farewell

PAGE = 100
"""Results that are given at once where nobody asks for another number."""
PLACE = re.compile(r"(\d{1,19})\.(\d{1,9})")
FINISHED: dict[str, Any] = {
    "schema": BatchView,
    "description": "A replay, when the batch is finished.",
    "headers": MADE,
    "success": True,
}
LINES = {"type": "string", "description": "A line for each item."}

blueprint = Blueprint(
    "batches", __name__, description="Many analyses submitted, counted and delivered together."
)


@blueprint.route("/batches", methods=["POST"])
@blueprint.response(202, BatchView, headers=MADE)
@blueprint.alt_response(200, **FINISHED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=BatchJson, multipart=BatchForm)
@idempotent
def submit(body: dict[str, Any]) -> Any:
    """Submit a batch: all of it is accepted, or nothing."""
    return _submitted(body)


@blueprint.route("/batch-analyze", methods=["POST"])
@blueprint.response(202, BatchView, headers=MADE)
@blueprint.alt_response(200, **FINISHED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(multipart=BatchForm)
@idempotent
def batch_analyze(body: dict[str, Any]) -> Any:
    """Submit up to 100 images as a batch: the short form."""
    return _submitted(body)


@blueprint.route("/image/analyze-batch", methods=["POST"])
@blueprint.response(202, BatchView, headers=MADE)
@blueprint.alt_response(200, **FINISHED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(multipart=BatchFilesForm)
@idempotent
def image_analyze_batch(body: dict[str, Any]) -> Any:
    """Submit up to 100 files with their questions as a batch: the short form."""
    return _submitted(body | {"images": body.pop("files")})


@blueprint.route("/batches", methods=["GET"])
@blueprint.response(200, BatchPage)
@signed_in(Scope.READ)
@takes_query(BatchQuery)
def listing(query: dict[str, Any]) -> Any:
    """List batches, the newest first."""
    rows, more = batches.page(
        desk(),
        key().account_id,
        before=query.get("cursor"),
        limit=query["limit"],
        state=query.get("status"),
    )
    return present.page([present.batch(row) for row in rows], more=more)


@blueprint.route("/batches/<id(batch):batch_id>", methods=["GET"])
@blueprint.response(200, BatchView)
@signed_in(Scope.READ)
@may_answer(404)
def one(batch_id: str) -> Any:
    """Look at a batch."""
    return _answer(batches.get(desk(), key().account_id, batch_id))


@blueprint.route("/batches/<id(batch):batch_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def delete(batch_id: str) -> Any:
    """Delete a finished batch with its items, and the images that came with it unless something uses them."""
    batches.delete(desk(), key().account_id, batch_id)
    return {"id": batch_id, "object": "batch", "deleted": True}


@blueprint.route("/batches/<id(batch):batch_id>/pause", methods=["POST"])
@blueprint.response(200, BatchView)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def pause(batch_id: str) -> Any:
    """Ask nothing new until it is resumed."""
    return _answer(batches.pause(desk(), key().account_id, batch_id))


@blueprint.route("/batches/<id(batch):batch_id>/resume", methods=["POST"])
@blueprint.response(200, BatchView)
@signed_in(Scope.WRITE)
@takes_body(json=ResumeJson, optional=True)
@may_answer(404, 409)
def resume(body: dict[str, Any], batch_id: str) -> Any:
    """Go on after a pause or a pilot, also with another limit of what it may cost."""
    caps = {BudgetKind.MAX_COST: body["max_cost"]} if "max_cost" in body else batches.NO_CAPS
    return _answer(batches.resume(desk(), key().account_id, batch_id, caps))


@blueprint.route("/batches/<id(batch):batch_id>/cancel", methods=["POST"])
@blueprint.response(200, BatchView)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def cancel(batch_id: str) -> Any:
    """Ask nothing new; results that are there stay."""
    return _answer(batches.cancel(desk(), key().account_id, batch_id))


@blueprint.route("/batches/<id(batch):batch_id>/retry", methods=["POST"])
@blueprint.response(200, BatchView)
@signed_in(Scope.WRITE)
@takes_body(json=RetryJson, optional=True)
@may_answer(404, 409)
def retry(body: dict[str, Any], batch_id: str) -> Any:
    """Run failed (or cancelled, or expired) items again."""
    states = frozenset(AnalysisState(state) for state in body["states"])
    return _answer(batches.retry(desk(), key().account_id, batch_id, states))


@blueprint.route("/batches/<id(batch):batch_id>/results", methods=["GET"])
@blueprint.response(200, ResultsPage)
@blueprint.alt_response(200, schema=LINES, content_type="application/x-ndjson", success=True)
@blueprint.alt_response(200, schema=LINES, content_type="text/csv", success=True)
@signed_in(Scope.READ)
@takes_query(ResultsQuery)
@may_answer(404)
def results(query: dict[str, Any], batch_id: str) -> Any:
    """Read results in input order, also while it runs: a page, or all of them as NDJSON or CSV."""
    account_id = key().account_id
    wanted = {"after": query["cursor"], "state": query.get("status"), "sku": query.get("sku")}
    if query["format"] != "json":
        batches.get(desk(), account_id, batch_id)  # a 404 must come before the first byte
        everything = batches.all_results(desk(), account_id, batch_id, **wanted)
        return whole(islice(everything, query.get("limit")), query["format"], batch_id)
    rows, more = batches.results(desk(), account_id, batch_id, limit=query.get("limit", PAGE), **wanted)
    return {
        "data": [present.item(row) for row in rows],
        "has_more": more,
        "next_cursor": rows[-1].position if more else None,
    }


@blueprint.route("/batches/<id(batch):batch_id>/stream", methods=["GET"])
@blueprint.response(
    200, content_type="text/event-stream", description="`status`, `item`, `done` and `closing` events."
)
@signed_in(Scope.READ)
@takes_headers("Last-Event-ID")
@may_answer(400, 404)
def stream(batch_id: str) -> Any:
    """Follow a batch live; `Last-Event-ID` goes on where the last connection ended."""
    place = _place(request.headers.get("Last-Event-ID", ""))
    standing = batches.get(desk(), key().account_id, batch_id)
    events = feeds().events(desk(), standing, place, watch_for_end())
    return streams().response(with_farewell(events))


def _submitted(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """What every way of submitting a loaded body does."""
    standing = batches.replayed(desk(), once()) or _fresh(body)
    return present.batch(standing), 202 if standing.batch.finished_at is None else 200, _headers(standing)


def _fresh(body: dict[str, Any]) -> Standing:
    order = Order(
        metadata=body.pop("metadata"),
        window=timedelta(seconds=seconds_of(body.pop("completion_window"))),
        priority=body.pop("priority"),
        pilot=body.pop("pilot", None),
        max_cost=body.pop("max_cost", None),
        told=body.pop("told", None),
    )
    group_by = body.pop("group_by", None)
    with rows_of(body, group_by) as rows:
        items = Items(desk(), key().account_id, defaults_of(body), sent).read(
            rows, grouped=group_by is not None
        )
        return batches.submit(desk(), key(), items, order, g.request_id, once())


def _answer(standing: Standing) -> tuple[dict[str, Any], int, dict[str, str]]:
    return present.batch(standing), 200, _headers(standing)


def _headers(standing: Standing) -> dict[str, str]:
    headers = {"Location": url_for("batches.one", batch_id=standing.batch.id)}
    if standing.batch.finished_at is None:
        headers["Retry-After"] = str(present.BATCH_RETRY_AFTER)
    return headers


def _place(last_event_id: str) -> Place:
    """Where a stream goes on. Raises InvalidRequest for an id that never was one."""
    if not last_event_id:
        return START
    match = PLACE.fullmatch(last_event_id)
    if match is None:
        raise InvalidRequest("This Last-Event-ID is none of this stream's.")
    return int(match[1]), int(match[2])

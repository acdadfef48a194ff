"""/v1/batches: batches of lines, which are the same batches and analyses as the native API's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import g

from core.errors import NotFound
from core.models import File
from core.services import batches, files, line_batches
from core.services.keys import Scope
from core.services.line_batches import LineOrder
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.openai_api import present
from webapp.openai_api.chat import read_image
from webapp.openai_api.errors import OpenAIBlueprint
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.schemas.openai_batches import BatchesQuery, BatchList, BatchObject, BatchOrder

blueprint = OpenAIBlueprint("openai_batches", __name__, description="Batches, in the shape of OpenAI's API.")


@blueprint.route("/batches", methods=["POST"])
@blueprint.response(200, BatchObject, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.SUBMISSIONS)
@takes_body(json=BatchOrder)
@idempotent
@may_answer(404)
def create(body: dict[str, Any]) -> Any:
    """Run the lines of a file; one with bad lines makes a batch that has failed, and says why."""
    return present.batch(batches.replayed(desk(), once()) or _made(body))


@blueprint.route("/batches", methods=["GET"])
@blueprint.response(200, BatchList)
@signed_in(Scope.READ)
@takes_query(BatchesQuery)
def listing(query: dict[str, Any]) -> Any:
    """List the batches that were made by this API, the newest first."""
    rows, more = batches.page(
        desk(), key().account_id, before=query.get("after"), limit=query["limit"], of_lines=True
    )
    return present.page([present.batch(row) for row in rows], more=more)


@blueprint.route("/batches/<id(batch):batch_id>", methods=["GET"])
@blueprint.response(200, BatchObject)
@signed_in(Scope.READ)
@may_answer(404)
def retrieve(batch_id: str) -> Any:
    """Look at a batch."""
    return present.batch(line_batches.get(desk(), key().account_id, batch_id))


@blueprint.route("/batches/<id(batch):batch_id>/cancel", methods=["POST"])
@blueprint.response(200, BatchObject)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def cancel(batch_id: str) -> Any:
    """Ask nothing new; what is done already stays."""
    return present.batch(line_batches.cancel(desk(), key().account_id, batch_id))


def _made(body: dict[str, Any]) -> batches.Standing:
    kept = body.get("output_expires_after")
    order = LineOrder(
        endpoint=body["endpoint"],
        input_file=_input(body["input_file_id"]),
        metadata=body["metadata"] or {},
        output_lifetime=None if kept is None else timedelta(seconds=kept["seconds"]),
    )
    return line_batches.submit(desk(), key(), order, read_image, g.request_id, once())


def _input(file_id: str) -> File:
    try:
        return files.get(desk(), key().account_id, file_id)
    except NotFound as error:
        raise NotFound(error.message, details={"field": "input_file_id"}) from error

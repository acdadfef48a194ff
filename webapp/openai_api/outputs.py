"""/v1/files for the two files of a batch, which are made from its items when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, json, stream_with_context

from core.media import JSONL
from core.services import batch_files
from core.services.batch_files import BatchFile
from core.services.keys import Scope
from webapp.downloads import disposition
from webapp.openai_api import batch_lines, present
from webapp.openai_api.errors import OpenAIBlueprint
from webapp.operations import desk, key, may_answer, signed_in
from webapp.schemas.analyses import Deleted
from webapp.schemas.openai_files import FileObject

LINES = {"type": "string", "description": "A JSON object on each line."}
ID = "id(output, errors)"

blueprint = OpenAIBlueprint("openai_outputs", __name__, description="What the lines of a batch came to.")


@blueprint.route(f"/files/<{ID}:output_id>", methods=["GET"])
@blueprint.response(200, FileObject)
@signed_in(Scope.READ)
@may_answer(404)
def retrieve(output_id: str) -> Any:
    """Look at a file of a batch; its length is counted by making it."""
    found = _found(output_id)
    return present.output(found, sum(map(len, _lines(found))))


@blueprint.route(f"/files/<{ID}:output_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def delete(output_id: str) -> Any:
    """Is refused: a file of a batch goes with its batch."""
    batch_files.refuse_to_delete(_found(output_id))


@blueprint.route(f"/files/<{ID}:output_id>/content", methods=["GET"])
@blueprint.response(200, LINES, content_type=JSONL)
@signed_in(Scope.READ)
@may_answer(404)
def content(output_id: str) -> Any:
    """Download what is there by now, in the order of the input."""
    found = _found(output_id)
    response = Response(stream_with_context(_lines(found)), mimetype=JSONL)
    response.headers["Content-Disposition"] = disposition(found.name)
    return response


def _found(output_id: str) -> BatchFile:
    return batch_files.get(desk(), key().account_id, output_id)


def _lines(found: BatchFile) -> Iterator[bytes]:
    for row in batch_files.rows(desk(), found):
        yield json.dumps(batch_lines.line(row)).encode() + b"\n"

"""/v1/files: the files of the account, whichever face they came by."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import Any

from core.models.file import Purpose
from core.services import files
from core.services.keys import Scope
from webapp.downloads import BINARY, download
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.openai_api import present
from webapp.openai_api.errors import OpenAIBlueprint
from webapp.operations import (
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
from webapp.schemas.openai_files import FileForm, FileList, FileObject, ListQuery
from webapp.uploads import received

blueprint = OpenAIBlueprint("openai_files", __name__, description="Files, in the shape of the OpenAI API.")


@blueprint.route("/files", methods=["POST"])
@blueprint.response(200, FileObject, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.UPLOADS)
@takes_body(multipart=FileForm, upload=attrgetter("max_openai_file_size"))
@idempotent
def create(body: dict[str, Any]) -> Any:
    """Upload a file."""
    seconds = body.get("seconds")
    found = files.keep(
        desk(),
        key().account_id,
        received(body["file"]),
        purpose=Purpose(body["purpose"]),
        lifetime=None if seconds is None else timedelta(seconds=seconds),
        once=once(),
    )
    return present.file(found)


@blueprint.route("/files", methods=["GET"])
@blueprint.response(200, FileList)
@signed_in(Scope.READ)
@takes_query(ListQuery)
def listing(query: dict[str, Any]) -> Any:
    """List files."""
    rows, more = files.page(
        desk(),
        key().account_id,
        behind=query.get("after"),
        limit=query["limit"],
        filters={"purpose": query["purpose"]} if "purpose" in query else {},
        oldest=query["order"] == "asc",
    )
    return present.page([present.file(row) for row in rows], more=more)


@blueprint.route("/files/<id(file):file_id>", methods=["GET"])
@blueprint.response(200, FileObject)
@signed_in(Scope.READ)
@may_answer(404)
def retrieve(file_id: str) -> Any:
    """Look at a file."""
    return present.file(files.get(desk(), key().account_id, file_id))


@blueprint.route("/files/<id(file):file_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def delete(file_id: str) -> Any:
    """Delete a file that no analysis uses."""
    files.delete(desk(), key().account_id, file_id)
    return {"id": file_id, "object": "file", "deleted": True}


@blueprint.route("/files/<id(file):file_id>/content", methods=["GET"])
@blueprint.response(200, BINARY, content_type="*/*")
@blueprint.alt_response(206, schema=BINARY, content_type="*/*", success=True)
@blueprint.alt_response(304, description="If-None-Match names the bytes.", success=True)
@signed_in(Scope.READ)
@takes_headers("Range", "If-Range", "If-None-Match")
@may_answer(404, 416)
def content(file_id: str) -> Any:
    """Download the bytes of a file."""
    found = files.get(desk(), key().account_id, file_id)
    return download(found, lambda start, end: files.pieces(desk(), found, start, end))

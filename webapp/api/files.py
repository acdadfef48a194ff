"""Files as a resource."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import Any

from flask import url_for
from flask_smorest import Blueprint

from core.models.file import Purpose
from core.services import files
from core.services.keys import Scope
from webapp import present
from webapp.downloads import BINARY, download
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
from webapp.schemas.files import FilePage, FilesQuery, FileView, UploadForm
from webapp.uploads import received

TEXT = {"schema": {"type": "string"}}
WHAT_IT_IS = {"ETag": TEXT, "Content-Disposition": TEXT, "Accept-Ranges": TEXT}

blueprint = Blueprint("files", __name__, description="Bytes that are sent once and used by their id.")


@blueprint.route("/files", methods=["POST"])
@blueprint.response(201, FileView, headers=MADE)
@signed_in(Scope.WRITE)
@limited(Counted.UPLOADS)
@takes_body(multipart=UploadForm, upload=attrgetter("max_upload_size"))
@idempotent
def upload(body: dict[str, Any]) -> Any:
    """Upload a file."""
    seconds = body.get("expires_after")
    found = files.keep(
        desk(),
        key().account_id,
        received(body["file"]),
        purpose=Purpose(body["purpose"]),
        lifetime=None if seconds is None else timedelta(seconds=seconds),
        once=once(),
    )
    return present.file(found), 201, {"Location": url_for("files.one", file_id=found.id)}


@blueprint.route("/files", methods=["GET"])
@blueprint.response(200, FilePage)
@signed_in(Scope.READ)
@takes_query(FilesQuery)
def listing(query: dict[str, Any]) -> Any:
    """List files, the newest first."""
    limit, before = query.pop("limit"), query.pop("cursor", None)
    rows, more = files.page(desk(), key().account_id, behind=before, limit=limit, filters=query)
    return present.page([present.file(row) for row in rows], more=more)


@blueprint.route("/files/<id(file):file_id>", methods=["GET"])
@blueprint.response(200, FileView)
@signed_in(Scope.READ)
@may_answer(404)
def one(file_id: str) -> Any:
    """Look at a file."""
    return present.file(files.get(desk(), key().account_id, file_id))


@blueprint.route("/files/<id(file):file_id>/content", methods=["GET"])
@blueprint.response(200, BINARY, content_type="*/*", headers=WHAT_IT_IS)
@blueprint.alt_response(
    206, schema=BINARY, content_type="*/*", headers=WHAT_IT_IS | {"Content-Range": TEXT}, success=True
)
@blueprint.alt_response(304, description="If-None-Match names the bytes.", success=True)
@signed_in(Scope.READ)
@takes_headers("Range", "If-Range", "If-None-Match")
@may_answer(404, 416)
def content(file_id: str) -> Any:
    """Download the bytes of a file, or a range of them."""
    found = files.get(desk(), key().account_id, file_id)
    return download(found, lambda start, end: files.pieces(desk(), found, start, end))


@blueprint.route("/files/<id(file):file_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404, 409)
def delete(file_id: str) -> Any:
    """Delete a file that no analysis uses."""
    files.delete(desk(), key().account_id, file_id)
    return {"id": file_id, "object": "file", "deleted": True}

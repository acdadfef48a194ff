"""Images that look alike: near-duplicates of a file, and similar products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flask import g
from flask_smorest import Blueprint

from core.services import image_embeddings, similar
from core.services.files import Upload
from core.services.keys import Scope
from core.services.ranking import MEASURES
from core.services.similar import IsOver, Similar
from webapp import present, stopping
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.schemas.similar import (
    DuplicatePage,
    DuplicatesQuery,
    SimilarForm,
    SimilarJson,
    SimilarList,
)
from webapp.streams import streams
from webapp.uploads import received, spooled

blueprint = Blueprint("similar", __name__, description="Images that look like others.")


@blueprint.route("/files/<id(file):file_id>/duplicates", methods=["GET"])
@blueprint.response(200, DuplicatePage)
@signed_in(Scope.READ)
@takes_query(DuplicatesQuery)
@may_answer(404)
def duplicates(query: dict[str, Any], file_id: str) -> Any:
    """List files that show the same as this one: copies, and the same resized, recompressed or cropped.

    Found are images that were analysed, or asked about here; others once the index is rebuilt.
    """
    with _patience() as is_over:
        rows, more = similar.duplicates(
            desk(),
            key().account_id,
            file_id,
            threshold=query["threshold"],
            behind=query.get("cursor"),
            limit=query["limit"],
            is_over=is_over,
        )
    return present.page([present.file(row) | {"distance": distance} for row, distance in rows], more=more)


@blueprint.route("/similar", methods=["POST"])
@blueprint.response(200, SimilarList, headers=DOCUMENTED)
@signed_in(Scope.READ)
@limited(Counted.UPLOADS)
@takes_body(json=SimilarJson, multipart=SimilarForm, files=1)
@may_answer(404)
def search(body: dict[str, Any]) -> Any:
    """Find the account's images that look most like one of them, or like one that is only sent for this.

    Found are images that were analysed, or asked about here; others once the index is rebuilt.
    """
    with _patience() as is_over:
        found = similar.similar(
            desk(),
            key().account_id,
            _image_of(body),
            limit=body["limit"],
            metadata=body.get("metadata"),
            is_over=is_over,
            embed=partial(image_embeddings.find, desk(), key(), g.request_id, is_over),
        )
    ranked_by = found[0].ranked_by if found else MEASURES
    return {"data": [_shown(each) for each in found], "ranked_by": ranked_by}


@contextmanager
def _patience() -> Iterator[IsOver]:
    """Says when waiting is over: at once where too many wait already, and when this process stops."""
    with streams().place() as taken:
        yield stopping.has_begun if taken else lambda: True


def _image_of(body: dict[str, Any]) -> Upload | str:
    if "file" in body:
        return received(body["file"])
    image: dict[str, Any] = body["image"]
    return image.get("file_id") or spooled(image["base64"], image.get("name", ""))


def _shown(found: Similar) -> dict[str, Any]:
    return {
        "file_id": found.file.id,
        "file_name": found.file.name,
        "sha256": found.file.digest,
        "ranked_by": found.ranked_by,
        "score": round(found.score, 4),
        "reasons": found.reasons,
        "analysis_id": found.analysis.id if found.analysis else None,
        "metadata": found.analysis.meta if found.analysis else None,
    }

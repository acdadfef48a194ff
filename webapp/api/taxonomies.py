"""The account's own taxonomies as a resource."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint

from core.services import taxonomies
from core.services.keys import Scope
from core.taxonomies import Node
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body
from webapp.schemas.taxonomies import (
    DeletedTaxonomy,
    TaxonomyForm,
    TaxonomyJson,
    TaxonomyList,
    TaxonomyView,
    TaxonomyWhole,
)
from webapp.uploads import received

blueprint = Blueprint("taxonomies", __name__, description="The shop's own categories.")


@blueprint.route("/taxonomies", methods=["GET"])
@blueprint.response(200, TaxonomyList)
@signed_in(Scope.READ)
def listing() -> Any:
    """List the account's taxonomies."""
    rows = taxonomies.listing(desk(), key().account_id)
    return {"data": [_shown(row.name, row.node_count) for row in rows]}


@blueprint.route("/taxonomies", methods=["POST"])
@blueprint.response(201, TaxonomyView, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.UPLOADS)
@takes_body(json=TaxonomyJson, multipart=TaxonomyForm, files=1)
@idempotent
def put(body: dict[str, Any]) -> Any:
    """Store a taxonomy, as JSON or CSV, in the place of one of the same name."""
    account_id, name = key().account_id, body["name"]
    if "nodes" in body:
        tree = taxonomies.put(desk(), account_id, name, [Node(**node) for node in body["nodes"]], once())
    else:
        upload = received(body.pop("file"))
        upload.content.seek(0)
        tree = taxonomies.import_csv(desk(), account_id, name, upload.content.read(), once())
    return _shown(name, len(tree))


@blueprint.route("/taxonomies/<string:name>", methods=["GET"])
@blueprint.response(200, TaxonomyWhole)
@signed_in(Scope.READ)
@may_answer(404)
def one(name: str) -> Any:
    """Look at a taxonomy with its categories."""
    nodes = taxonomies.tree(desk(), key().account_id, name).nodes
    listed = [{"id": node.id, "label": node.label, "parent": node.parent} for node in nodes]
    return _shown(name, len(nodes)) | {"nodes": listed}


@blueprint.route("/taxonomies/<string:name>", methods=["DELETE"])
@blueprint.response(200, DeletedTaxonomy)
@signed_in(Scope.WRITE)
@may_answer(404)
def delete(name: str) -> Any:
    """Forget a taxonomy."""
    taxonomies.delete(desk(), key().account_id, name)
    return {"name": name, "object": "taxonomy", "deleted": True}


def _shown(name: str, size: int) -> dict[str, Any]:
    return {"name": name, "object": "taxonomy", "size": size}

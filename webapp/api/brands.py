"""The brands that an account knows, as a resource."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint

from core.models import Brand
from core.services import brands
from core.services.keys import Scope
from webapp import present
from webapp.idempotency import idempotent, once
from webapp.limits import DOCUMENTED, Counted
from webapp.operations import desk, key, limited, may_answer, signed_in, takes_body, takes_query
from webapp.schemas.analyses import Deleted
from webapp.schemas.brands import BrandJson, BrandPage, BrandQuery, BrandsForm, BrandView, Imported
from webapp.uploads import received

blueprint = Blueprint("brands", __name__, description="The brands that the shop knows.")


@blueprint.route("/brands", methods=["GET"])
@blueprint.response(200, BrandPage)
@signed_in(Scope.READ)
@takes_query(BrandQuery)
def listing(query: dict[str, Any]) -> Any:
    """List brands, the oldest first."""
    rows, more = brands.page(desk(), key().account_id, after=query.get("cursor"), limit=query["limit"])
    return present.page([_shown(row) for row in rows], more=more)


@blueprint.route("/brands", methods=["POST"])
@blueprint.response(201, BrandView, headers=DOCUMENTED)
@blueprint.alt_response(
    200, schema=BrandView, description="It was there, and is changed.", headers=DOCUMENTED, success=True
)
@signed_in(Scope.WRITE)
@limited(Counted.UPLOADS)
@takes_body(json=BrandJson)
@idempotent
def put(body: dict[str, Any]) -> Any:
    """Add a brand, or change the one of this name: what it had besides is gone."""
    brand = brands.put(desk(), key().account_id, body["name"], body["aliases"], once())
    return _shown(brand), 201 if brand.is_new else 200


@blueprint.route("/brands/import", methods=["POST"])
@blueprint.response(200, Imported, headers=DOCUMENTED)
@signed_in(Scope.WRITE)
@limited(Counted.UPLOADS)
@takes_body(multipart=BrandsForm, files=1)
@idempotent
def import_csv(body: dict[str, Any]) -> Any:
    """Add brands from a CSV file, all of them or none."""
    upload = received(body.pop("file"))
    upload.content.seek(0)
    imported = brands.import_csv(desk(), key().account_id, upload.content.read(), once())
    return {"object": "brands", "imported": imported}


@blueprint.route("/brands/<id(brand):brand_id>", methods=["DELETE"])
@blueprint.response(200, Deleted)
@signed_in(Scope.WRITE)
@may_answer(404)
def delete(brand_id: str) -> Any:
    """Forget a brand."""
    brands.delete(desk(), key().account_id, brand_id)
    return {"id": brand_id, "object": "brand", "deleted": True}


def _shown(row: Brand) -> dict[str, Any]:
    return {"id": row.id, "object": "brand", "name": row.name, "aliases": row.aliases}

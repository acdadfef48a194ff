"""Brands as clients send and see them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.services.brands import LONGEST_NAME, MOST_ALIASES
from webapp.schemas.media import file_part
from webapp.schemas.pages import PageSize, cursor
from webapp.schemas.values import Text


class BrandJson(Schema):
    """A brand that the account knows; one of the same name, but for spelling, is changed."""

    name = Text(required=True, validate=validate.Length(1, LONGEST_NAME), metadata={"pattern": r"\S"})
    aliases = fields.List(
        Text(validate=validate.Length(1, LONGEST_NAME)),
        load_default=list,
        validate=validate.Length(max=MOST_ALIASES),
        metadata={"description": "Other names, in any script.", "example": ["나이키", "ナイキ"]},
    )


class BrandsForm(Schema):
    """Brands as CSV: the columns name and aliases, these separated by ;."""

    file = file_part(required=True)


class BrandQuery(PageSize):
    """Which page of brands."""

    cursor = cursor("brand")


class BrandView(Schema):
    """A brand that the account knows."""

    id = fields.String(required=True)
    object = fields.String(required=True, metadata={"enum": ["brand"]})
    name = fields.String(required=True)
    aliases = fields.List(fields.String(), required=True)


class BrandPage(Schema):
    """A page of brands, the oldest first."""

    data = fields.List(fields.Nested(BrandView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class Imported(Schema):
    """How much a file held."""

    object = fields.String(required=True)
    imported = fields.Integer(required=True)

"""Models as clients of the OpenAI API see them."""

from __future__ import annotations

from marshmallow import Schema, fields


class ModelPrice(Schema):
    """What tokens cost."""

    input = fields.Float(required=True)
    cached_input = fields.Float(required=True)
    output = fields.Float(required=True)
    currency = fields.String(required=True)
    per_tokens = fields.Integer(required=True)
    as_of = fields.String(required=True)


class ModelLimits(Schema):
    """What one request may hold."""

    max_images = fields.Integer(required=True)
    max_image_bytes = fields.Integer(required=True)
    max_image_pixels = fields.Integer(required=True)


class Model(Schema):
    """A model of the endpoint, or a preset."""

    id = fields.String(required=True, metadata={"example": "vitrine/product"})
    object = fields.String(required=True, metadata={"enum": ["model"]})
    created = fields.Integer(required=True)
    owned_by = fields.String(required=True)
    title = fields.String(required=True)
    price = fields.Nested(ModelPrice, required=True, allow_none=True)
    limits = fields.Nested(ModelLimits, required=True)


class ModelList(Schema):
    """All of them."""

    object = fields.String(required=True, metadata={"enum": ["list"]})
    data = fields.List(fields.Nested(Model), required=True)

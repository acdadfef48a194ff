"""The answers of the plain endpoints."""

from __future__ import annotations

from marshmallow import Schema, fields

from webapp.schemas.analyses import CostSchema, UsageSchema


class PlainMetadata(Schema):
    """About the file and what its answer took."""

    file_name = fields.String(required=True)
    file_size = fields.Integer(required=True)
    context_provided = fields.Boolean(required=True)
    token_usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    model = fields.String(required=True)
    cached = fields.Boolean(required=True)
    cached_from = fields.String(required=True, allow_none=True)


class _Plain(Schema):
    success = fields.Boolean(required=True)
    id = fields.String(required=True, metadata={"description": "The analysis behind this answer."})
    confidence = fields.Float(
        required=True, allow_none=True, metadata={"description": "The model's own, where it gives one."}
    )
    processing_time = fields.Float(required=True, allow_none=True)
    timestamp = fields.DateTime(required=True)
    metadata = fields.Nested(PlainMetadata, required=True)


class PlainAnswer(_Plain):
    """An answer in words."""

    answer = fields.String(required=True)


class PlainData(_Plain):
    """An answer as data."""

    data = fields.Dict(required=True)


class PlainPending(Schema):
    """The answer takes longer than this request may: where to look for it."""

    success = fields.Boolean(required=True)
    id = fields.String(required=True)
    status = fields.String(required=True)
    location = fields.String(required=True)
    timestamp = fields.DateTime(required=True)

"""Taxonomies as clients send and see them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.taxonomies import LONGEST_ID, LONGEST_LABEL, MOST_NODES
from webapp.schemas.media import file_part
from webapp.schemas.presets import NAME
from webapp.schemas.values import Text


def name() -> Text:
    """The name of a taxonomy."""
    return Text(
        required=True,
        validate=validate.Regexp(NAME, error="Use 1 to 64 small letters, digits, _ and -."),
        metadata={"example": "shop"},
    )


class NodeJson(Schema):
    """A category."""

    id = Text(required=True, validate=validate.Length(1, LONGEST_ID))
    label = Text(required=True, validate=validate.Length(1, LONGEST_LABEL))
    parent = Text(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, LONGEST_ID),
        metadata={"description": "The id of the category above it; null at the top."},
    )


class TaxonomyJson(Schema):
    """A tree of categories, in the place of one of the same name."""

    name = name()
    nodes = fields.List(
        fields.Nested(NodeJson), required=True, validate=validate.Length(min=1, max=MOST_NODES)
    )


class TaxonomyForm(Schema):
    """The same as CSV: the columns id, label and parent, empty at the top."""

    name = name()
    file = file_part(required=True)


class TaxonomyView(Schema):
    """A taxonomy."""

    name = fields.String(required=True)
    object = fields.String(required=True, metadata={"enum": ["taxonomy"]})
    size = fields.Integer(required=True)


class NodeView(Schema):
    """A category."""

    id = fields.String(required=True)
    label = fields.String(required=True)
    parent = fields.String(required=True, allow_none=True)


class TaxonomyWhole(TaxonomyView):
    """A taxonomy with its categories."""

    nodes = fields.List(fields.Nested(NodeView), required=True)


class TaxonomyList(Schema):
    """The account's taxonomies."""

    data = fields.List(fields.Nested(TaxonomyView), required=True)


class DeletedTaxonomy(Schema):
    """What was deleted."""

    name = fields.String(required=True)
    object = fields.String(required=True)
    deleted = fields.Boolean(required=True)

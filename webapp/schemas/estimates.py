"""Estimates as clients ask for and see them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from core.services.estimates import NOT_COUNTED
from webapp.schemas.analyses import CostSchema, UsageSchema
from webapp.schemas.batches import MOST_FILES, BatchForm, BatchJson
from webapp.schemas.media import file_part
from webapp.schemas.submissions import SubmitForm, SubmitJson

SOURCES = ("images", "inputs", "input_file_id")


class EstimateJson(BatchJson, SubmitJson):
    """What would be submitted: an analysis (`images`), or a batch (`inputs` or `input_file_id`)."""

    images = fields.List(
        fields.Raw(allow_none=True, metadata={"type": "object"}),
        metadata={
            "description": "Of an analysis. Here and in inputs, an image may also be known by its size alone:"
            ' {"width": 4032, "height": 3024}.'
        },
    )

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        if sum(name in data for name in SOURCES) != 1:
            raise ValidationError(f"Give one of {', '.join(SOURCES)}.")


class EstimateForm(BatchForm, SubmitForm):
    """The same with files: `file`s are an analysis, `images` are a batch."""

    file = fields.List(file_part(), validate=validate.Length(min=1))
    images = fields.List(file_part(), validate=validate.Length(1, MOST_FILES))

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        if ("file" in data) == ("images" in data):
            raise ValidationError("Give either file or images.")


class EmbeddingsView(Schema):
    """What the embeddings of the images would take, beside the cost of the submission and its max_cost."""

    calls = fields.Integer(required=True)
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)


class AssumedView(Schema):
    """What nobody can know beforehand; each is null where it cannot happen."""

    steps = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Down the tree of a taxonomy, on average."},
    )
    escalated = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "The share of items for which the stronger model is asked too."},
    )
    repaired = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "The share of calls made once more, since their answer does not fit."},
    )


class EstimateView(Schema):
    """What a submission would take; nothing was made."""

    object = fields.String(required=True, metadata={"enum": ["estimate"]})
    items = fields.Integer(required=True)
    calls = fields.Integer(required=True, metadata={"description": "What is measured takes none."})
    cached = fields.Integer(
        required=True,
        metadata={
            "description": "Of the items, those that would get an answer of before or of another item, free."
        },
    )
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    embeddings = fields.Nested(EmbeddingsView, required=True, allow_none=True)
    saved_image_tokens = fields.Integer(
        required=True, metadata={"description": "What the images would take more as they came."}
    )
    seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "By the workers and limits there are; null where no worker is there."},
    )
    images = fields.Integer(required=True)
    images_measured = fields.Integer(
        required=True, metadata={"description": "Whose size was looked at; the others are taken to be alike."}
    )
    answers = fields.Integer(
        required=True,
        metadata={
            "description": "Of the account's latest, those to the same questions, whose length is taken."
        },
    )
    assumed = fields.Nested(AssumedView, required=True)
    warnings = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "Why it may be far off, such as that nothing of the sort has been answered yet.",
            "example": ["There are no answers of this sort yet: how long they will be is a guess."],
        },
    )
    not_counted = fields.List(
        fields.String(metadata={"enum": list(NOT_COUNTED)}),
        required=True,
        metadata={
            "description": "What the run may take less than this: answers given again that could not be"
            " looked for."
        },
    )

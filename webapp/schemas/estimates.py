"""Estimates as clients ask for and see them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate
from marshmallow.exceptions import SCHEMA

from core.services.estimates import NOT_COUNTED
from webapp.schemas.analyses import CostSchema, UsageSchema
from webapp.schemas.batches import MOST_FILES, BatchForm, BatchJson
from webapp.schemas.media import file_part
from webapp.schemas.submissions import SubmitForm, SubmitJson

SOURCES = ("images", "inputs", "input_file_id")


class _AnalysisJson(SubmitJson):
    images = fields.List(fields.Raw(allow_none=True), required=True)
    """Judged by the service, which takes sizes too."""


ANALYSIS_JSON, BATCH_JSON, ANALYSIS_FORM, BATCH_FORM = _AnalysisJson(), BatchJson(), SubmitForm(), BatchForm()


def _demand(one: bool, why: str) -> None:
    if not one:
        raise ValidationError({SCHEMA: [why]})


class EstimateJson(BatchJson, SubmitJson):
    """What would be submitted: an analysis (`images`), or a batch (`inputs` or `input_file_id`)."""

    images = fields.List(
        fields.Raw(allow_none=True, metadata={"type": "object"}),
        metadata={
            "description": "Of an analysis. Here and in inputs, an image may also be known by its size alone:"
            ' {"width": 4032, "height": 3024}.'
        },
    )

    def load(self, data: Any, **options: Any) -> Any:
        """As the one of the two that it would be submitted as."""
        given = [name for name in SOURCES if data.get(name) is not None]
        _demand(len(given) == 1, f"Give one of {', '.join(SOURCES)}.")
        return (ANALYSIS_JSON if given == ["images"] else BATCH_JSON).load(data, **options)


class EstimateForm(BatchForm, SubmitForm):
    """The same with files: `file`s are an analysis, `images` are a batch."""

    file = fields.List(file_part(), validate=validate.Length(min=1))
    images = fields.List(file_part(), validate=validate.Length(1, MOST_FILES))

    def load(self, data: Any, **options: Any) -> Any:
        """As the one of the two that it would be submitted as."""
        _demand(("file" in data) != ("images" in data), "Give either file or images.")
        return (ANALYSIS_FORM if "file" in data else BATCH_FORM).load(data, **options)


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

"""Batches as clients send and see them."""

from __future__ import annotations

import json
import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates_schema

from core.image_sizes import DETAILS
from core.services.analyses import CONTEXT_LENGTH, QUESTION_LENGTH
from core.services.batches import PRIORITIES
from core.services.rows import BY_SKU, MOST_ITEMS
from core.states import REOPENABLE, AnalysisState, BatchState
from core.views import BY_FOLDER, BY_NAME, SKU_LENGTH
from webapp.schemas.analyses import AnalysisView, CostSchema, Problem, UsageSchema
from webapp.schemas.media import file_part
from webapp.schemas.submissions import (
    DETAIL,
    FORM,
    IMAGE_TOKENS,
    MOST_TOKENS,
    OPTIONS,
    ToldSchema,
    required_quality,
    reuse_field,
    stronger_model,
)
from webapp.schemas.values import (
    Amount,
    CacheField,
    JsonObject,
    Metadata,
    Options,
    Question,
    Real,
    Text,
    Whole,
)

WINDOW = re.compile(r"([1-9]\d{0,3})([mhd])")
UNITS = {"m": 60, "h": 3_600, "d": 86_400}
LONGEST_WINDOW = 30 * 86_400
MOST_FILES = 100
"""In one request; more come as files that were uploaded before."""


class Window(fields.String):
    """A completion window such as 24h."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not 0 < seconds_of(text) <= LONGEST_WINDOW:
            raise ValidationError("Must be minutes, hours or days up to 30d, such as 90m, 24h or 7d.")
        return text


def seconds_of(window: str) -> int:
    """The seconds of a completion window; 0 for what is none."""
    match = WINDOW.fullmatch(window)
    return int(match[1]) * UNITS[match[2]] if match else 0


class Questions(fields.List):  # type: ignore[type-arg]  # not generic when it runs
    """The questions of a form: a field for each, or a single one with a JSON list of them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and len(value) == 1:
            value = _listed(value[0])
        return super()._deserialize(value, attr, data, **kwargs)


def _listed(text: Any) -> list[Any]:
    """The JSON list that a text is, or the text alone: a question may begin with a bracket."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return [text]
    return found if isinstance(found, list) else [text]


class _NullIsAbsent(Schema):
    """Null is as if left out, as it is in an item."""

    @pre_load
    def _given(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None}


class Defaults(_NullIsAbsent):
    """What holds for every item that does not say otherwise."""

    question = Question(
        validate=validate.Length(max=QUESTION_LENGTH), metadata={"minLength": 1, "pattern": r"\S"}
    )
    context = Text(validate=validate.Length(max=CONTEXT_LENGTH))
    preset = Text(validate=validate.Length(1, 100))
    model = Text(validate=validate.Length(1, 200))
    stronger_model = stronger_model()
    max_tokens = Whole(strict=True, validate=validate.Range(1, MOST_TOKENS))
    temperature = Real(strict=True, validate=validate.Range(0, 2))
    detail = Text(validate=validate.OneOf(DETAILS), metadata=DETAIL)
    max_image_tokens = Whole(strict=True, validate=validate.Range(1, MOST_TOKENS), metadata=IMAGE_TOKENS)
    metadata = Metadata()
    preset_options = Options(metadata=OPTIONS)
    response_format = JsonObject(metadata=FORM)
    require_quality = required_quality()
    cache = CacheField()
    reuse = reuse_field()


class _Order(ToldSchema):
    metadata = Metadata(load_default=dict, metadata={"description": "The client's own, of the batch."})
    completion_window = Window(load_default="24h", metadata={"pattern": r"^[1-9][0-9]{0,3}[mhd]$"})
    priority = Text(load_default="normal", validate=validate.OneOf(list(PRIORITIES)))
    pilot = Whole(
        validate=validate.Range(1, MOST_ITEMS),
        metadata={"description": "Run so many items first, then pause with a projection."},
    )
    max_cost = Amount(metadata={"description": "USD: pause before a call that might go beyond."})


class BatchJson(_NullIsAbsent, _Order):
    """A batch to be run."""

    inputs = fields.List(
        # Judged by the service, all of them at once, also what is no object.
        fields.Raw(allow_none=True, metadata={"type": "object"}),
        metadata={
            "description": f"1 to {MOST_ITEMS:,} items: custom_id, sku, image or images (file ids, URLs,"
            " or objects with file_id, url or base64, and view), view, and question, context, preset,"
            " preset_options, response_format, require_quality, model, stronger_model, max_tokens,"
            " temperature, detail, max_image_tokens, cache, reuse, metadata.",
        },
    )
    input_file_id = Text(
        validate=validate.Length(1, 40),
        metadata={
            "description": "A file uploaded with purpose batch, instead of inputs: JSON Lines or CSV with the"
            " items, or a ZIP archive, each image of which is an item called by its path."
        },
    )
    group_by = Text(
        validate=validate.OneOf([BY_SKU, BY_FOLDER, BY_NAME]),
        metadata={
            "description": "Make one item of all rows with the same `sku`, each of which may name its `view`;"
            " of a ZIP archive, of all images in one folder, or whose names begin alike: SKU_view.jpg."
        },
    )
    defaults = fields.Nested(Defaults, load_default=dict)

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        if ("inputs" in data) == ("input_file_id" in data):
            raise ValidationError("Give either inputs or input_file_id.")


class _FormFields(_Order):
    question = Question(validate=validate.Length(max=QUESTION_LENGTH))
    questions = Questions(
        Question(validate=validate.Length(max=QUESTION_LENGTH)),
        validate=validate.Length(min=1),
        metadata={"description": "One for each file: as many fields, or one with a JSON list."},
    )
    context = Text(validate=validate.Length(max=CONTEXT_LENGTH))
    preset = Text(validate=validate.Length(1, 100))
    model = Text(validate=validate.Length(1, 200))
    detail = Text(validate=validate.OneOf(DETAILS), metadata=DETAIL)
    max_image_tokens = Whole(validate=validate.Range(1, MOST_TOKENS), metadata=IMAGE_TOKENS)
    cache = CacheField()
    reuse = reuse_field()
    pilot = Whole(validate=validate.Range(1, MOST_ITEMS))
    group_by = Text(
        validate=validate.OneOf([BY_NAME]),
        metadata={"description": "Make one item of all files whose names begin alike: SKU_view.jpg."},
    )

    @validates_schema
    def _one_kind_of_question(self, data: dict[str, Any], **_: Any) -> None:
        if "question" in data and "questions" in data:
            raise ValidationError(
                "Give either question, for all images, or questions, not both.", "questions"
            )


class BatchForm(_FormFields):
    """A batch of files: one question for all, or as many questions as files."""

    images = fields.List(file_part(), required=True, validate=validate.Length(1, MOST_FILES))


class BatchFilesForm(_FormFields):
    """The same, with the files named so."""

    files = fields.List(file_part(), required=True, validate=validate.Length(1, MOST_FILES))


class ResumeJson(Schema):
    """What is to change as a batch goes on."""

    max_cost = Amount(
        strict=True, allow_none=True, metadata={"description": "The new limit in USD; null for none."}
    )


class RetryJson(Schema):
    """Which items are to be tried again."""

    states = fields.List(
        Text(validate=validate.OneOf(sorted(REOPENABLE))),
        load_default=["failed"],
        validate=validate.Length(min=1),
    )


class BatchQuery(Schema):
    """Which batches, and which page of them."""

    limit = Whole(load_default=20, validate=validate.Range(1, 100))
    cursor = Text(
        validate=validate.Regexp(r"^batch_[0-9a-z]{26}$", error="Take next_cursor from the page before.")
    )
    status = Text(validate=validate.OneOf([state.value for state in BatchState]))


class ResultsQuery(Schema):
    """Which results, and in what form."""

    format = Text(load_default="json", validate=validate.OneOf(["json", "ndjson", "csv"]))
    limit = Whole(
        validate=validate.Range(1, 1000),
        metadata={"description": "Without it, 100 as JSON; all as NDJSON or CSV."},
    )
    cursor = Whole(
        load_default=-1,
        validate=validate.Range(-1, MOST_ITEMS),
        metadata={"description": "next_cursor of the page before."},
    )
    status = Text(validate=validate.OneOf([state.value for state in AnalysisState]))
    sku = Text(validate=validate.Length(1, SKU_LENGTH))


class Counts(Schema):
    """Items by outcome; total is the sum of the others."""

    total = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    expired = fields.Integer(required=True)
    pending = fields.Integer(required=True)


class Sample(Schema):
    """A little of an item that the pilot ran."""

    custom_id = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": [state.value for state in AnalysisState]})
    answer = fields.String(
        required=True, allow_none=True, metadata={"description": "Its first 300 characters."}
    )
    error = fields.Nested(Problem, required=True, allow_none=True)


class Projection(Schema):
    """What the whole batch will come to if it goes on as the pilot went."""

    items = fields.Integer(required=True, metadata={"description": "Items that are final so far."})
    total_cost = fields.Float(
        required=True, allow_none=True, metadata={"description": "Estimate for the whole batch."}
    )
    seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "Estimate for the whole batch; null in listings, and where nothing is known."
        },
    )
    error_rate = fields.Float(required=True, metadata={"description": "0 to 1, of the items so far."})
    samples = fields.List(
        fields.Nested(Sample),
        required=True,
        metadata={"description": "The first items that are final, 3 at most; none in listings."},
    )


class BatchView(Schema):
    """A batch as it stands."""

    id = fields.String(required=True)
    object = fields.String(required=True, metadata={"enum": ["batch"]})
    status = fields.String(required=True, metadata={"enum": [state.value for state in BatchState]})
    reason = fields.String(required=True, allow_none=True)
    counts = fields.Nested(Counts, required=True)
    cached = fields.Integer(
        required=True, metadata={"description": "Completed items that were given an earlier answer."}
    )
    progress = fields.Float(
        required=True, metadata={"description": "0 to 1: the share of items that are final."}
    )
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    max_cost = fields.Float(required=True, allow_none=True)
    projection = fields.Nested(Projection, required=True, allow_none=True)
    priority = fields.String(required=True)
    metadata = fields.Dict(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "When its first item was begun."}
    )
    expected_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    deadline_at = fields.DateTime(required=True)
    retry_after = fields.Integer(required=True, allow_none=True)
    request_id = fields.String(required=True)


class BatchPage(Schema):
    """A page of batches, the newest first."""

    data = fields.List(fields.Nested(BatchView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class ItemView(AnalysisView):
    """An item of a batch: an analysis, and its place."""

    batch_id = fields.String(required=True)
    custom_id = fields.String(required=True)
    position = fields.Integer(required=True)


class ResultsPage(Schema):
    """A page of results in input order."""

    data = fields.List(fields.Nested(ItemView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.Integer(required=True, allow_none=True)

"""Analyses as clients see and seek them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.states import AnalysisState
from core.views import SKU_LENGTH
from webapp.schemas.pages import PageSize, cursor
from webapp.schemas.submissions import LONGEST_WAIT
from webapp.schemas.values import Real, Text


class WaitQuery(Schema):
    """How long to look."""

    wait = Real(
        load_default=0,
        validate=validate.Range(0, LONGEST_WAIT),
        metadata={"description": "Seconds to wait until it is finished."},
    )


class PageQuery(PageSize):
    """Which analyses, and which page of them."""

    cursor = cursor("an")
    status = Text(validate=validate.OneOf([state.value for state in AnalysisState]))
    preset = Text(validate=validate.Length(1, 100))
    model = Text(validate=validate.Length(max=200))
    sku = Text(validate=validate.Length(1, SKU_LENGTH))


class PromptDetails(Schema):
    """Parts of the prompt tokens."""

    cached_tokens = fields.Integer(required=True)
    image_tokens = fields.Integer(required=True)


class CompletionDetails(Schema):
    """Parts of the completion tokens."""

    reasoning_tokens = fields.Integer(required=True)


class UsageSchema(Schema):
    """Tokens, over every call that was made for this answer."""

    prompt_tokens = fields.Integer(required=True)
    completion_tokens = fields.Integer(required=True)
    total_tokens = fields.Integer(required=True)
    prompt_tokens_details = fields.Nested(PromptDetails, required=True)
    completion_tokens_details = fields.Nested(CompletionDetails, required=True)


class CostSchema(Schema):
    """Money, over every call that was made for this answer; 0 before any, null where it has no price."""

    prompt_cost = fields.Float(required=True, allow_none=True)
    completion_cost = fields.Float(required=True, allow_none=True)
    total_cost = fields.Float(required=True, allow_none=True)
    currency = fields.String(required=True)


class SpentSchema(Schema):
    """A model of a cascade, and what was spent on it; null where it was not asked, or has no price."""

    model = fields.String(required=True)
    total_cost = fields.Float(required=True, allow_none=True)


class CascadeSchema(Schema):
    """A cheap model that is asked first, and a stronger one that is asked where that is not enough."""

    first = fields.Nested(SpentSchema, required=True)
    stronger = fields.Nested(SpentSchema, required=True)
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why the stronger one was asked."}
    )


class ImageView(Schema):
    """An image of an analysis, and what was done to it before it was sent."""

    view = fields.String(
        required=True, allow_none=True, metadata={"description": "What it shows, as the client calls it."}
    )
    url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where it is fetched from, if it was not sent."},
    )
    file_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null, as what follows, until it is fetched."},
    )
    file_name = fields.String(required=True, allow_none=True)
    file_size = fields.Integer(required=True, allow_none=True)
    media_type = fields.String(required=True, allow_none=True)
    sha256 = fields.String(required=True, allow_none=True)
    preparation = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "Size, bytes and tokens as it came (`original`) and as it was sent (`sent`), the"
            " scale between, and what was done (`actions`). The `quality` of what was sent is its JPEG"
            " encoder's, and null where the picture was `kept` as it was saved, without its metadata. Null"
            " where nothing was sent: before it was asked about, and where an earlier answer was given."
        },
    )


class Problem(Schema):
    """Why there is no answer."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class ReusedFrom(Schema):
    """The analysis of another image that shows the same, whose answer was given again."""

    id = fields.String(required=True)
    distance = fields.Integer(
        required=True, metadata={"description": "Bits of 256 by which the images' hashes differ."}
    )


class AnalysisView(Schema):
    """An analysis as it stands."""

    id = fields.String(required=True, metadata={"example": "an_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    object = fields.String(required=True, metadata={"enum": ["analysis"]})
    status = fields.String(required=True, metadata={"enum": [state.value for state in AnalysisState]})
    reason = fields.String(required=True, allow_none=True)
    preset = fields.String(required=True)
    preset_version = fields.Integer(required=True)
    model = fields.String(required=True)
    preset_options = fields.Dict(required=True, allow_none=True)
    response_format = fields.Dict(required=True, allow_none=True)
    require_quality = fields.List(fields.String(), required=True, allow_none=True)
    question = fields.String(required=True, allow_none=True)
    context = fields.String(required=True, allow_none=True)
    sku = fields.String(required=True, allow_none=True)
    detail = fields.String(required=True)
    max_image_tokens = fields.Integer(required=True, allow_none=True)
    metadata = fields.Dict(required=True)
    trial = fields.Boolean(required=True, metadata={"description": "Whether a preset was tried with it."})
    images = fields.List(fields.Nested(ImageView), required=True)
    answer = fields.String(required=True, allow_none=True)
    data = fields.Raw(required=True, allow_none=True)
    confidence = fields.Float(required=True, allow_none=True)
    finish_reason = fields.String(required=True, allow_none=True)
    error = fields.Nested(Problem, required=True, allow_none=True)
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    cached = fields.Boolean(
        required=True, metadata={"description": "Whether it has the answer of an earlier analysis."}
    )
    cached_from = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "That analysis, which may be deleted by now."},
    )
    reused_from = fields.Nested(ReusedFrom, required=True, allow_none=True)
    cascade = fields.Nested(CascadeSchema, required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    processing_time = fields.Float(
        required=True, allow_none=True, metadata={"description": "Seconds from the first try to the end."}
    )
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    deadline_at = fields.DateTime(required=True)
    request_id = fields.String(required=True)


class AnalysisPage(Schema):
    """A page of analyses, the newest first."""

    data = fields.List(fields.Nested(AnalysisView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class Deleted(Schema):
    """What was deleted."""

    id = fields.String(required=True)
    object = fields.String(required=True)
    deleted = fields.Boolean(required=True)

"""Batches as clients of the OpenAI API send and see them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from core.services.line_batches import ENDPOINT
from webapp.schemas.files import LONGEST, SHORTEST
from webapp.schemas.openai_lists import Limit, after
from webapp.schemas.values import Metadata, Text, Whole

MOST_PAIRS, LONGEST_NAME, LONGEST_VALUE = 16, 64, 512
STATUSES = (
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
)


def _pairs(found: dict[str, Any]) -> None:
    """Raises ValidationError unless these are few and short texts."""
    if len(found) > MOST_PAIRS:
        raise ValidationError(f"Takes at most {MOST_PAIRS} pairs.")
    for name, value in found.items():
        if len(name) > LONGEST_NAME:
            raise ValidationError(f"A name takes at most {LONGEST_NAME} characters.")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise ValidationError(f"A value is a text of at most {LONGEST_VALUE} characters.")


class ExpiresAfter(Schema):
    """How long something is kept."""

    anchor = Text(required=True, validate=validate.OneOf(["created_at"]))
    seconds = Whole(strict=True, required=True, validate=validate.Range(SHORTEST, LONGEST))


class BatchOrder(Schema):
    """A batch to be run."""

    input_file_id = Text(required=True, validate=validate.Length(1, 40))
    endpoint = Text(required=True, validate=validate.OneOf([ENDPOINT]))
    completion_window = Text(required=True, validate=validate.OneOf(["24h"]))
    metadata = Metadata(load_default=dict, allow_none=True, validate=_pairs)
    output_expires_after = fields.Nested(ExpiresAfter)


class BatchesQuery(Schema):
    """Which page of the batches."""

    after = after("batch")
    limit = Limit(100, load_default=20)


class LineError(Schema):
    """What is wrong with a line."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    param = fields.String(allow_none=True)
    line = fields.Integer(allow_none=True)


class LineErrors(Schema):
    """What is wrong with the input."""

    object = fields.String(required=True, metadata={"enum": ["list"]})
    data = fields.List(fields.Nested(LineError), required=True)


class RequestCounts(Schema):
    """Lines by outcome; what was cancelled or expired has failed."""

    total = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)


class InputDetails(Schema):
    """Tokens of prompts."""

    cached_tokens = fields.Integer(required=True)


class OutputDetails(Schema):
    """Tokens of answers."""

    reasoning_tokens = fields.Integer(required=True)


class BatchUsage(Schema):
    """What it took so far."""

    input_tokens = fields.Integer(required=True)
    input_tokens_details = fields.Nested(InputDetails, required=True)
    output_tokens = fields.Integer(required=True)
    output_tokens_details = fields.Nested(OutputDetails, required=True)
    total_tokens = fields.Integer(required=True)


class SoFar(Schema):
    """The files of a batch that still runs, as far as they have come: an extension."""

    output_file_id = fields.String(required=True, allow_none=True)
    error_file_id = fields.String(required=True, allow_none=True)


class BatchObject(Schema):
    """A batch as it stands; what is not known (yet) is null."""

    id = fields.String(required=True)
    object = fields.String(required=True, metadata={"enum": ["batch"]})
    endpoint = fields.String(required=True)
    errors = fields.Nested(LineErrors, required=True, allow_none=True)
    input_file_id = fields.String(required=True)
    completion_window = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": list(STATUSES)})
    output_file_id = fields.String(required=True, allow_none=True)
    error_file_id = fields.String(required=True, allow_none=True)
    so_far = fields.Nested(SoFar)
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it waits, or ended as it did, where there is more to say: ours."},
    )
    created_at = fields.Integer(required=True)
    in_progress_at = fields.Integer(required=True, allow_none=True)
    expires_at = fields.Integer(required=True, allow_none=True)
    finalizing_at = fields.Integer(required=True, allow_none=True)
    completed_at = fields.Integer(required=True, allow_none=True)
    failed_at = fields.Integer(required=True, allow_none=True)
    expired_at = fields.Integer(required=True, allow_none=True)
    cancelling_at = fields.Integer(required=True, allow_none=True)
    cancelled_at = fields.Integer(required=True, allow_none=True)
    request_counts = fields.Nested(RequestCounts, required=True)
    usage = fields.Nested(BatchUsage, required=True)
    metadata = fields.Dict(required=True)


class BatchList(Schema):
    """A page of batches, the newest first."""

    object = fields.String(required=True, metadata={"enum": ["list"]})
    data = fields.List(fields.Nested(BatchObject), required=True)
    first_id = fields.String()
    last_id = fields.String()
    has_more = fields.Boolean(required=True)

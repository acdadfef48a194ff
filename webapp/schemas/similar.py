"""Searches for images that look alike, and what they find."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates_schema

from core.likeness import BITS, NEAR_BITS
from core.services.ranking import EMBEDDING, MEASURES
from webapp.schemas.files import FileView
from webapp.schemas.media import Base64, file_part
from webapp.schemas.pages import PageSize, cursor
from webapp.schemas.values import Metadata, Text, Whole

MOST = 100
LIMIT = {"description": "How many to give at most.", "example": 10}
FILTER = {
    "description": "Only images of which an analysis has metadata that contains this.",
    "example": {},
}


class DuplicatesQuery(PageSize):
    """How near, and which page."""

    threshold = Whole(
        load_default=NEAR_BITS,
        validate=validate.Range(0, BITS),
        metadata={
            "description": "Bits of the 256 of a difference hash that may differ. Above the default, "
            "little more is found."
        },
    )
    cursor = cursor("file")


class DuplicateView(FileView):
    """A file that shows the same."""

    distance = fields.Integer(
        required=True, metadata={"description": "Bits of 256 that differ; 0 also for a copy."}
    )


class DuplicatePage(Schema):
    """A page of files that show the same, the nearest first."""

    data = fields.List(fields.Nested(DuplicateView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class ImageToCompare(Schema):
    """A file of the account, or bytes that are not kept."""

    file_id = Text(validate=validate.Length(1, 40))
    base64 = Base64(metadata={"description": "Base64, or a data URL."})
    name = Text(validate=validate.Length(max=255))

    @pre_load
    def _by_id(self, data: Any, **_: Any) -> Any:
        return {"file_id": data} if isinstance(data, str) else data

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        if len({"file_id", "base64"} & data.keys()) != 1:
            raise ValidationError("Give one of file_id and base64.")


class SimilarJson(Schema):
    """What to look for."""

    image = fields.Nested(
        ImageToCompare,
        required=True,
        metadata={"description": "The id of a file may also stand here itself."},
    )
    limit = Whole(strict=True, load_default=10, validate=validate.Range(1, MOST), metadata=LIMIT)
    metadata = Metadata(metadata=FILTER)


class SimilarForm(Schema):
    """What to look for, as a file."""

    file = file_part(required=True)
    limit = Whole(load_default=10, validate=validate.Range(1, MOST), metadata=LIMIT)
    metadata = Metadata(metadata=FILTER)


def ranked_by(description: str) -> fields.String:
    """Which of the two ways to tell was taken."""
    return fields.String(
        required=True,
        validate=validate.OneOf([EMBEDDING, MEASURES]),
        metadata={"description": description},
    )


class SimilarView(Schema):
    """An image that looks like the one that was given."""

    file_id = fields.String(required=True, metadata={"description": "Its newest file."})
    file_name = fields.String(required=True)
    sha256 = fields.String(required=True)
    ranked_by = ranked_by("What its score is taken from; those ranked by an embedding come first.")
    score = fields.Float(
        required=True,
        validate=validate.Range(0, 1),
        metadata={
            "description": "1 for the same. By measures, about 0.15 for any two products; by an embedding, "
            "the cosine of the angle between both."
        },
    )
    reasons = fields.List(
        fields.String(
            metadata={"enum": ["same image", "near-duplicate", "same colours", "same shape", "same outlines"]}
        ),
        required=True,
    )
    analysis_id = fields.String(
        required=True, allow_none=True, metadata={"description": "The newest that looked at it."}
    )
    metadata = fields.Dict(required=True, allow_none=True, metadata={"description": "Of that analysis."})


class SimilarList(Schema):
    """Images of the account, the most similar first."""

    data = fields.List(fields.Nested(SimilarView), required=True)
    ranked_by = ranked_by("What the first of them is ranked by: an embedding where the server has one.")

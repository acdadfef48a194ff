"""Files as clients send and see them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.models.file import Purpose
from core.services.files import UPLOADED
from webapp.schemas.media import file_part
from webapp.schemas.pages import PageSize, cursor
from webapp.schemas.values import Text, Whole

SHORTEST, LONGEST = 3_600, 30 * 86_400
"""Seconds that a file may be kept, where an end is set."""


class UploadForm(Schema):
    """A file to be kept."""

    file = file_part(required=True)
    purpose = Text(
        load_default=Purpose.VISION.value,
        validate=validate.OneOf([purpose.value for purpose in UPLOADED]),
        metadata={"description": "vision for an image; batch for the input of one: JSONL, CSV or ZIP."},
    )
    expires_after = Whole(
        validate=validate.Range(SHORTEST, LONGEST),
        metadata={"description": "Seconds until the file is removed; without it, it stays until deleted."},
    )


class FilesQuery(PageSize):
    """Which files, and which page of them."""

    cursor = cursor("file")
    purpose = Text(validate=validate.OneOf([purpose.value for purpose in Purpose]))


class FileView(Schema):
    """A file as it stands."""

    id = fields.String(required=True, metadata={"example": "file_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    object = fields.String(required=True, metadata={"enum": ["file"]})
    file_name = fields.String(required=True)
    file_size = fields.Integer(required=True)
    media_type = fields.String(
        required=True, metadata={"description": "Of its bytes, whatever it was sent as."}
    )
    sha256 = fields.String(required=True)
    purpose = fields.String(
        required=True,
        metadata={
            "enum": [purpose.value for purpose in Purpose],
            "description": "analysis: it came with an analysis and goes with it.",
        },
    )
    created_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True, allow_none=True)


class FilePage(Schema):
    """A page of files, the newest first."""

    data = fields.List(fields.Nested(FileView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)

"""Files as clients of the OpenAI API send and see them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from core.models.file import Purpose
from webapp.schemas.files import LONGEST, SHORTEST
from webapp.schemas.media import file_part
from webapp.schemas.openai_lists import Limit, after
from webapp.schemas.values import Text, Whole

PURPOSES = [purpose.value for purpose in Purpose if purpose != Purpose.ANALYSIS]
LISTED = [*(purpose.value for purpose in Purpose), "batch_output"]
"""The last is what files of batches have, which are not listed: nothing is found by it."""
MOST = 10_000
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"


class FileForm(Schema):
    """A file to be kept."""

    file = file_part(required=True)
    purpose = Text(required=True, validate=validate.OneOf(PURPOSES))
    anchor = Text(data_key=ANCHOR, validate=validate.OneOf(["created_at"]))
    seconds = Whole(
        data_key=SECONDS,
        validate=validate.Range(SHORTEST, LONGEST),
        metadata={"description": "Until the file is removed; without it, it stays until deleted."},
    )

    @validates_schema
    def _both(self, data: dict[str, Any], **_: Any) -> None:
        if ("anchor" in data) != ("seconds" in data):
            missing = SECONDS if "anchor" in data else ANCHOR
            raise ValidationError("anchor and seconds come together.", missing)


class ListQuery(Schema):
    """Which files, and which page of them."""

    after = after("file")
    limit = Limit(MOST, load_default=MOST)
    order = Text(load_default="desc", validate=validate.OneOf(["asc", "desc"]))
    purpose = Text(validate=validate.OneOf(LISTED))


class FileObject(Schema):
    """A file as it stands."""

    id = fields.String(required=True)
    object = fields.String(required=True, metadata={"enum": ["file"]})
    bytes = fields.Integer(required=True)
    created_at = fields.Integer(required=True)
    expires_at = fields.Integer(metadata={"description": "Left out where the file stays until deleted."})
    filename = fields.String(required=True)
    purpose = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": ["processed"]})


class FileList(Schema):
    """A page of files."""

    object = fields.String(required=True, metadata={"enum": ["list"]})
    data = fields.List(fields.Nested(FileObject), required=True)
    first_id = fields.String()
    last_id = fields.String()
    has_more = fields.Boolean(required=True)

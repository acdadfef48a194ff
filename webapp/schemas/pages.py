"""What every listing is asked with."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.ids import ALPHABET, LENGTH
from webapp.schemas.values import Text, Whole

TAKE_NEXT = "Take next_cursor from the page before."


class PageSize(Schema):
    """How long a page is."""

    limit = Whole(load_default=20, validate=validate.Range(1, 100))


def cursor(prefix: str) -> fields.Field[str]:
    """Where the page before ended: an id with this prefix."""
    pattern = rf"^{prefix}_[{ALPHABET}]{{{LENGTH}}}$"
    return Text(
        validate=validate.Regexp(pattern, error=TAKE_NEXT),
        metadata={"description": "next_cursor of the page before."},
    )

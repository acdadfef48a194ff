"""What listings of the OpenAI API are asked with."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from core.errors import IntegerAboveMaxValue, IntegerBelowMinValue
from core.ids import ALPHABET, LENGTH
from webapp.schemas.values import Text, Whole


class Limit(Whole):
    """The length of a page, from 1 to `most`; what is beyond has codes of its own in that API."""

    def __init__(self, most: int, **kwargs: Any) -> None:
        super().__init__(metadata={"minimum": 1, "maximum": most}, **kwargs)
        self._most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = super()._deserialize(value, attr, data, **kwargs)
        if number > self._most:
            raise IntegerAboveMaxValue(
                f"limit takes at most {self._most:,}, not {number}.", details={"field": attr}
            )
        if number < 1:
            raise IntegerBelowMinValue(f"limit takes at least 1, not {number}.", details={"field": attr})
        return number


def after(prefix: str) -> fields.Field[str]:
    """The last id of the page before, with this prefix; what it named may be gone by now."""
    pattern = rf"^{prefix}_[{ALPHABET}]{{{LENGTH}}}$"
    return Text(
        validate=validate.Regexp(pattern, error="Take last_id from the page before."),
        metadata={"description": "last_id of the page before."},
    )

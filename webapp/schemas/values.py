"""Fields stricter than marshmallow's own: what they let through must fit Postgres and the endpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from core import json_schemas, reuse
from core.presets.preset import LARGEST_OPTIONS
from core.services.analyses import METADATA_BYTES

DEEPEST = 32
"""Levels of nesting in JSON of the client's own."""
NO_OBJECT = "Must be a JSON object."


class Text(fields.String):
    """Text without NUL and lone surrogates: neither Postgres nor UTF-8 can hold them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_storable(text):
            raise ValidationError("Must not contain NUL or unpaired surrogate characters.")
        return text


class Question(Text):
    """Text that says something."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).strip()
        if not text:
            raise ValidationError("Must not be blank.")
        return text


class Whole(fields.Integer):
    """A whole number; `strict` wants a JSON number, without it (forms, queries) the text of one will do."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        _demand_number(value, strict=self.strict)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # to JSON, 2.0 is the integer 2
        return int(super()._deserialize(value, attr, data, **kwargs))


class Real(fields.Float):
    """A finite number; `strict` as with Whole."""

    def __init__(self, *, strict: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.strict = strict

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        _demand_number(value, strict=self.strict)
        return float(super()._deserialize(value, attr, data, **kwargs))


class Flag(fields.Boolean):
    """A JSON true or false: 0 and 1 are numbers."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class CacheField(fields.Field[Any]):
    """`cache`: a word, or the seconds that an answer may be old; in forms as text."""

    def __init__(self, **kwargs: Any) -> None:
        shape = {
            "anyOf": [
                {"type": "string", "enum": list(reuse.WORDS)},
                {"type": "integer", "minimum": 0, "maximum": reuse.LONGEST},
            ],
            "description": "Whether the answer of an earlier analysis that asked the very same may be given"
            " again, at no cost: `auto` where it is young enough for the server, or at most so many seconds"
            " old; `refresh` asks anew, for others to come; `off` leaves this one out altogether.",
            "example": reuse.AUTO,
        }
        super().__init__(metadata=shape, **kwargs)

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> reuse.Cache:
        try:
            return reuse.parsed(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class Amount(Real):
    """USD, above 0 and below a hundred million."""

    def __init__(self, **kwargs: Any) -> None:
        bounds = validate.Range(0, 99_999_999, min_inclusive=False)
        super().__init__(validate=bounds, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return Decimal(str(super()._deserialize(value, attr, data, **kwargs)))


class JsonObject(fields.Dict):
    """A JSON object of the client's own; in forms as text."""

    default_error_messages = {"invalid": NO_OBJECT}  # noqa: RUF012 - marshmallow's own way
    largest = json_schemas.LARGEST
    """Bytes, as JSON."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            value = _decoded(value)
        found = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]  # not annotated
        if not all(is_storable(text) for text in texts_of(found)):
            raise ValidationError("Must not contain NUL or unpaired surrogate characters.")
        if len(json.dumps(found)) > self.largest:
            raise ValidationError(f"May take at most {self.largest:,} bytes as JSON.")
        return found


class Metadata(JsonObject):
    """What the client wants to be kept with something."""

    largest = METADATA_BYTES


class Options(JsonObject):
    """The options of a preset."""

    largest = LARGEST_OPTIONS


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text as UTF-8."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def texts_of(value: Any) -> Iterator[str]:
    """Every text in decoded JSON, names included. Raises ValidationError where it is nested too deeply."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValidationError(f"Must not be nested more than {DEEPEST} levels deep.")
        if isinstance(item, str):
            yield item
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValidationError("Must not contain NaN or numbers without end.")
        elif isinstance(item, dict):
            yield from item
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list):
            waiting += [(inner, depth + 1) for inner in item]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(NO_OBJECT) from error


def _demand_number(value: Any, *, strict: bool) -> None:
    if isinstance(value, bool) or (strict and isinstance(value, str)):
        raise ValidationError("Must be a number.")


YEARS = range(1970, 3000)
"""Far from the ends of the calendar, where zones and spans overflow."""


class Moment(fields.AwareDateTime):
    """A moment; one without an offset, or a date alone, is in the default zone, or refused without one."""

    def __init__(self, default_timezone: tzinfo | None = UTC, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=default_timezone, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        text = f"{value}T00:00:00" if isinstance(value, str) and len(value) == len("2026-01-31") else value
        moment = super()._deserialize(text, attr, data, **kwargs)
        if moment.year not in YEARS:
            raise ValidationError(f"Must be in the years {YEARS[0]} to {YEARS[-1]}.")
        return moment.astimezone(UTC)

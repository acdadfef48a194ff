"""Fills a JSON Schema with what was measured, and with "don't know" everywhere else.

`fill` promises a value that validates. The ladder for each place is: the measurement, in the form
the schema asks for; else null, "unknown" or the like; else the smallest value that is allowed. A
schema that leaves no such value (a pattern, an unsatisfiable mixture) is refused rather than
answered wrongly.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from local.analyst import blanks, forms
from local.analyst.blanks import MISSING
from local.analyst.findings import Finding
from local.analyst.vocabulary import is_container, look_up

DEEPEST = 16  # levels; a schema that demands more than this refers to itself without end
MOST_PLACES = 2000  # a schema that branches into itself would otherwise grow without measure
NOTHING = Finding()

Scope = Mapping[str, Finding]


class UnfillableError(Exception):
    """No honest value fits the schema; the message says where."""


def fill(schema: Any, scope: Scope) -> Any:
    """Fill a schema from findings by property name; raises UnfillableError."""
    try:
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        filler = _Filler(schema, validator)
        value = filler.value(schema, NOTHING, scope, 0)
        problem = next(validator.iter_errors(value), None)
    except SchemaError as error:
        raise UnfillableError(f"not a valid JSON Schema: {error.message}") from error
    except (Unresolvable, RecursionError) as error:
        raise UnfillableError("a $ref cannot be resolved") from error
    except re.error as error:
        raise UnfillableError(f"a pattern is not a regular expression: {error}") from error
    if problem is not None:
        raise UnfillableError(f"at {problem.json_path}: {problem.message}")
    return value


class _Filler:
    """Walks one schema."""

    def __init__(self, root: Any, validator: Draft202012Validator) -> None:
        self._root = root
        self._validator = validator
        self._places = 0

    def value(self, schema: Any, finding: Finding, scope: Scope, depth: int) -> Any:
        """Give the measurement in the schema's form, else its blank."""
        self._places += 1
        if depth > DEEPEST or self._places > MOST_PLACES:
            raise UnfillableError("the schema refers to itself without end, or is too large")
        known = self._known(schema, finding, scope, depth)
        return self._blank(schema, finding, scope, depth) if known is MISSING else known

    def _known(self, schema: Any, finding: Finding, scope: Scope, depth: int) -> Any:
        """Give the measurement where one exists and is allowed, else MISSING."""
        if finding is NOTHING:
            return MISSING
        for plain in self._readings(schema):
            value = self._form(plain, finding, scope, depth)
            if value is not MISSING and self._allows(schema, value):
                return value
        return MISSING

    def _form(self, schema: Mapping[str, Any], finding: Finding, scope: Scope, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, finding.parts, depth) if finding.parts else MISSING
            case "array":
                return self._array(schema, finding, scope, depth)
            case _:
                return forms.scalar(schema, finding)

    def _blank(self, schema: Any, finding: Finding, scope: Scope, depth: int) -> Any:
        """Give the first way of saying nothing that the schema allows."""
        readings = sorted(self._readings(schema), key=lambda plain: plain.get("type") != "null")
        for plain in readings:
            for value in self._blanks(plain, finding, scope, depth):
                if self._allows(schema, value):
                    return value
        raise UnfillableError("a place admits neither a measurement nor a way of saying that there is none")

    def _blanks(self, schema: Mapping[str, Any], finding: Finding, scope: Scope, depth: int) -> Iterator[Any]:
        if "const" in schema or "enum" in schema:
            yield from blanks.scalars(schema)
        elif schema.get("type") == "object":
            yield self._object(schema, finding.parts or scope, depth)
        elif schema.get("type") == "array":
            count = schema.get("minItems", 0)
            yield [self.value(_item_schema(schema, place), NOTHING, {}, depth + 1) for place in range(count)]
        else:
            yield from blanks.scalars(schema)

    def _object(self, schema: Mapping[str, Any], scope: Scope, depth: int) -> dict[str, Any]:
        """Fill all properties; an optional one that nothing fits is left out."""
        required = schema.get("required", ())
        filled = {}
        properties: dict[str, Any] = {name: {} for name in required} | schema.get("properties", {})
        for name, inner in properties.items():
            finding = look_up(name, scope) or NOTHING
            # What was measured of the image says nothing about its logo or its maker.
            below = scope if is_container(name) else {}
            try:
                filled[name] = self.value(inner, finding, below, depth + 1)
            except UnfillableError:
                if name in required:
                    raise
        return filled

    def _array(self, schema: Mapping[str, Any], finding: Finding, scope: Scope, depth: int) -> Any:
        items = finding.items or ((finding,) if finding.text is not None or finding.parts else ())
        known = [
            self._known(_item_schema(schema, place), item, scope, depth + 1)
            for place, item in enumerate(items)
        ]
        values = [value for value in known if value is not MISSING]
        if schema.get("uniqueItems"):
            values = [value for place, value in enumerate(values) if value not in values[:place]]
        while values and len(values) < schema.get("minItems", 0):
            values.append(self._blank(_item_schema(schema, len(values)), NOTHING, {}, depth + 1))
        return values[: schema.get("maxItems")] if values else MISSING

    def _readings(self, schema: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
        """Give each way to read a schema as one of a single type, without references."""
        if depth > DEEPEST:
            raise UnfillableError("the schema refers to itself without end")
        if isinstance(schema, bool):
            yield from ({"type": "null"},) if schema else ()
            return
        branches = [key for key in ("$ref", "allOf", "anyOf", "oneOf") if key in schema]
        if not branches:
            yield from _by_type(schema)
            return
        rest = {key: value for key, value in schema.items() if key != branches[0]}
        for branch in self._branches(branches[0], schema[branches[0]]):
            yield from self._readings(_merged(rest, branch), depth + 1)

    def _branches(self, key: str, value: Any) -> list[Any]:
        if key == "$ref":
            return [self._resolve(value)]
        if key == "allOf":
            whole: Any = {}
            for part in value:
                whole = _merged(whole, part)
            return [whole]
        return list(value)

    def _resolve(self, reference: str) -> Any:
        """Follow a reference inside the schema; nothing is fetched."""
        if reference == "#":
            return self._root
        if not reference.startswith("#/"):
            raise UnfillableError(f"only references inside the schema are followed, not {reference}")
        place = self._root
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                place = place[int(key)] if isinstance(place, list) else place[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise UnfillableError(f"there is no {reference}") from None
        return place

    def _allows(self, schema: Any, value: Any) -> bool:
        return next(self._validator.evolve(schema=schema).iter_errors(value), None) is None


def _by_type(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Split a list of types; guess the type of a schema that names none."""
    kind = schema.get("type")
    if isinstance(kind, list):
        yield from ({**schema, "type": one} for one in kind)
    elif kind is not None or "enum" in schema or "const" in schema:
        yield schema
    else:
        yield {**schema, "type": _implied_type(schema)}


def _implied_type(schema: Mapping[str, Any]) -> str:
    if schema.keys() & {"properties", "required", "additionalProperties"}:
        return "object"
    if schema.keys() & {"items", "minItems", "maxItems", "prefixItems"}:
        return "array"
    return "number" if schema.keys() & {"minimum", "maximum"} else "string"


def _item_schema(schema: Mapping[str, Any], place: int) -> Any:
    first = schema.get("prefixItems", ())
    return first[place] if place < len(first) else schema.get("items", {})


def _merged(one: Any, other: Any) -> Any:
    """Join two schemas that must both hold; contradictions are found when the value is checked."""
    if isinstance(one, bool) or isinstance(other, bool):
        return other if one is True else one if other is True else False
    joined = {**one, **other}
    for key in ("properties", "$defs"):
        if key in one and key in other:
            joined[key] = {**one[key], **other[key]}
    if "required" in one and "required" in other:
        joined["required"] = [*one["required"], *other["required"]]
    return joined

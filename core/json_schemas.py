"""JSON Schemas from strangers: judged before they are kept, so that no answer is ever slow to check.

What the endpoint answers is held against them in the workers, by a library that follows references over the
network, and whose patterns may take hours: neither is let in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from core.errors import InvalidRequest

LARGEST = 32_768
"""Bytes, as JSON."""
DEEPEST = 32
"""Levels of nesting, of the JSON as it is written."""
MOST_PLACES = 2_000
"""Schemas within the schema, each counted as often as it is referred to: what one value may cost to check."""
LONGEST_NAME = 64
MESSAGE_LENGTH = 200

IN_OBJECTS = ("properties", "$defs", "definitions", "dependentSchemas")
IN_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
ALONE = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
DEFINITIONS = ("#/$defs/", "#/definitions/")
REFUSED = {
    "pattern": "patterns are not taken, for some take hours: use enum, or check the text yourself",
    "patternProperties": "patterns are not taken, for some take hours: name the properties",
    "$id": "a schema has no address here",
    "$anchor": "anchors are not followed: refer to #/$defs/…",
    "$dynamicRef": "only $ref is followed, to #/$defs/…",
    "$dynamicAnchor": "only $ref is followed, to #/$defs/…",
    "$recursiveRef": "only $ref is followed, to #/$defs/…",
}
ANY_OBJECT = {"type": "object"}


def check(schema: Any, field: str) -> None:
    """Raises InvalidRequest unless it is a JSON Schema (2020-12) that any answer is quickly held against."""
    try:
        _check_size(schema)
        _check_meaning(schema)
        _Places(schema).count()
    except _UnfitError as error:
        raise InvalidRequest(f"{field}: {error}.", details={"field": field}) from error


def schema_of(response_format: Any, field: str = "response_format") -> dict[str, Any] | None:
    """The schema that a response_format in OpenAI's shape asks for; None for plain text.

    Raises InvalidRequest for one that makes no sense, or asks for a schema that is not taken.
    """
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return ANY_OBJECT
    wanted = response_format.get("json_schema") if kind == "json_schema" else None
    if not isinstance(wanted, dict) or not isinstance(wanted.get("schema"), dict):
        raise InvalidRequest(
            f'{field}: give {{"type": "json_schema", "json_schema": {{"name", "schema"}}}}, or the type'
            " text or json_object.",
            details={"field": field},
        )
    _check_name(wanted.get("name", "answer"), field)
    check(wanted["schema"], field)
    found: dict[str, Any] = wanted["schema"]
    return found


def is_closed(schema: Any) -> bool:
    """Whether objects have no properties but those they must have, which strict endpoints ask for."""
    if not isinstance(schema, dict):
        return True
    names = schema.get("properties", {})
    is_object = schema.get("type") == "object" or bool(names)
    closed = schema.get("additionalProperties") is False and set(schema.get("required", ())) == set(names)
    return (closed or not is_object) and all(is_closed(inner) for _, inner in _inner(schema))


class _UnfitError(Exception):
    """Why a schema is not taken."""


class _Places:
    """Counts the schemas within a schema, references followed."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._counts: dict[str, int] = {}
        self._open: set[str] = set()

    def count(self) -> None:
        """Raises _UnfitError where there are too many, or something that is not taken."""
        for key in ("$defs", "definitions"):
            for name in self._root.get(key, {}):
                self._of_reference(f"#/{key}/{_escaped(name)}")
        self._of(self._root)

    def _of(self, schema: Any) -> int:
        if not isinstance(schema, dict):
            return 1
        for keyword in schema.keys() & REFUSED.keys():
            raise _UnfitError(f"{keyword}: {REFUSED[keyword]}")
        total = 1 + sum(
            self._of(inner) for keyword, inner in _inner(schema) if keyword not in IN_OBJECTS[1:3]
        )
        if "$ref" in schema:
            total += self._of_reference(schema["$ref"])
        if total > MOST_PLACES:
            raise _UnfitError(f"it holds more than {MOST_PLACES:,} schemas, references followed")
        return total

    def _of_reference(self, reference: str) -> int:
        if reference in self._open:
            raise _UnfitError(f"{reference} refers to itself")
        if reference not in self._counts:
            self._open.add(reference)
            self._counts[reference] = self._of(self._resolved(reference))
            self._open.remove(reference)
        return self._counts[reference]

    def _resolved(self, reference: str) -> Any:
        start = next((start for start in DEFINITIONS if reference.startswith(start)), None)
        if start is None:
            raise _UnfitError(f"$ref: only #/$defs/… is followed, not {reference[:80]!r}")
        name = reference.removeprefix(start).replace("~1", "/").replace("~0", "~")
        found = self._root.get(start[2:-1], {})
        if name not in found:
            raise _UnfitError(f"$ref: there is no {reference[:80]}")
        return found[name]


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside, each with the keyword that it is under."""
    for keyword in IN_OBJECTS:
        yield from ((keyword, inner) for inner in schema.get(keyword, {}).values())
    for keyword in IN_LISTS:
        yield from ((keyword, inner) for inner in schema.get(keyword, ()))
    yield from ((keyword, schema[keyword]) for keyword in ALONE if keyword in schema)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _check_size(schema: Any) -> None:
    if not isinstance(schema, dict):
        raise _UnfitError("a schema is a JSON object")
    if _depth(schema) > DEEPEST:
        raise _UnfitError(f"it is nested more than {DEEPEST} levels deep")
    try:
        text = json.dumps(schema, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:  # NaN, and texts that are not Unicode
        raise _UnfitError("it holds a number or a text that is none") from error
    if len(text) > LARGEST:
        raise _UnfitError(f"it may take at most {LARGEST:,} bytes as JSON, not {len(text):,}")
    if b"\\u0000" in text:
        raise _UnfitError("it must not hold NUL characters")


def _depth(value: Any) -> int:
    """Levels of nesting, no deeper than one beyond what is taken."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        depth += 1
        inner = (item.values() if isinstance(item, dict) else item for item in level if _holds(item))
        level = [item for items in inner for item in items]
    return depth


def _holds(item: Any) -> bool:
    return isinstance(item, dict | list)


def _check_meaning(schema: Any) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        message = error.message[:MESSAGE_LENGTH]
        raise _UnfitError(f"this is no JSON Schema: {error.json_path}: {message}") from error


def _check_name(name: Any, field: str) -> None:
    usable = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isascii()
    if not usable or not name.replace("-", "_").replace("_", "a").isalnum():
        raise InvalidRequest(
            f"{field}: a name has 1 to {LONGEST_NAME} letters, digits, _ or -.", details={"field": field}
        )

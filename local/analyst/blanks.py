"""Ways of saying "not measured" that a schema may allow, the plainest first."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

MISSING: Any = object()

UNKNOWN_WORDS = (
    "unknown",
    "not measured",
    "undetermined",
    "unclear",
    "unspecified",
    "n/a",
    "na",
    "other",
    "none",
    "",
)
PATTERNED = ("unknown", "UNKNOWN", "", "n/a", "0", "-", "none", "#000000", "1970-01-01")


def scalars(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Give blanks for a schema of one type, or of fixed values; the caller checks each."""
    if "const" in schema:
        yield schema["const"]
    elif "enum" in schema:
        yield from _members(schema["enum"])
    else:
        yield from _of_type(schema)


def _members(members: list[Any]) -> Iterator[Any]:
    """Give null and words for unknown first; then any member, for one must be given."""
    yield from (member for member in members if member is None)
    for word in UNKNOWN_WORDS:
        yield from (member for member in members if isinstance(member, str) and member.lower() == word)
    yield from (member for member in members if member is False)
    yield from members


def _of_type(schema: Mapping[str, Any]) -> Iterator[Any]:
    match schema["type"]:
        case "null":
            yield None
        case "boolean":
            yield from (False, True)
        case "string":
            yield from _strings(schema)
        case "integer" | "number":
            yield from _numbers(schema)


def _strings(schema: Mapping[str, Any]) -> Iterator[str]:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    yield from (PATTERNED if "pattern" in schema else PATTERNED[:1])
    yield "unknown"[:longest].ljust(shortest, ".")
    yield ""


def _numbers(schema: Mapping[str, Any]) -> Iterator[float]:
    """Give 0 or the allowed number nearest to it, as an integer where the type demands it."""
    low, high = _bounds(schema)
    step = schema.get("multipleOf", 1 if schema["type"] == "integer" else None)
    for edge in (0, low, high):
        if not math.isfinite(edge):
            continue
        yield from (edge, math.floor(edge), math.ceil(edge))
        if step:
            yield from (math.floor(edge / step) * step, math.ceil(edge / step) * step)
            yield from (math.floor(edge / step + 1) * step, math.ceil(edge / step - 1) * step)
    if math.isfinite(low) and math.isfinite(high):
        yield (low + high) / 2
    elif math.isfinite(low) or math.isfinite(high):
        yield from (low + 1, math.floor(low + 1)) if math.isfinite(low) else (high - 1, math.ceil(high - 1))


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    return low, high

"""The fields of answers that a preset names, and those that Vitrine adds, judged before it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BRAND, CATEGORY, STEPS = "brand", "category", "steps"
"""Added: whose a name is; which category was chosen, and in how many steps."""
CORNERS = ("x", "y", "width", "height")
KINDS = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
OF_VALUES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}

Problem = tuple[str, str]
"""The field of a pack, and what is wrong with it."""


def stored(box: str) -> str:
    """Where a box is told in the pixels of the file."""
    return f"{box}_stored"


def share(box: str) -> str:
    """Where a box's share of its picture is told."""
    return f"{box.removesuffix('_position')}_size_percentage"


def view(box_image: str) -> str:
    """Where the name of the image that boxes are on is told."""
    return f"{box_image.removesuffix('_image')}_view"


def of(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields that an answer may have under a schema, and the schema of each."""
    return dict(_fields(schema, schema or {}))


def problems(pack: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the fields that a pack names, under the schema that all its variants make."""
    fields = of(schema)
    for name, field, kind in _named(pack):
        if field not in fields:
            yield name, f"the schema of its answers has no field {field!r}."
        elif kind not in _kinds(fields[field], schema):
            yield name, f"the field {field!r} can be no {kind}."
    for box in pack.get("boxes") or ():
        if box in fields and not set(CORNERS) <= dict(_fields(fields[box], schema)).keys():
            yield "boxes", f"the field {box!r} needs the properties {', '.join(CORNERS)}."
    for field in (pack.get("models") or {}).get("must_know", ()):
        if field not in fields:
            yield "models.must_know", f"the schema of its answers has no field {field!r}."
    yield from _clashes(pack, fields)


def _named(pack: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if field := pack.get("found_field"):
        yield "found_field", field, "boolean"
    if field := pack.get("brand_field"):
        yield "brand_field", field, "string"
    if field := pack.get("box_image"):
        yield "box_image", field, "integer"
    yield from (("boxes", field, "object") for field in pack.get("boxes") or ())


def _clashes(pack: Mapping[str, Any], fields: Mapping[str, Any]) -> Iterator[Problem]:
    """Fields that would be written over what the model said, or over one another."""
    taken = set(fields)
    for name, field in _added(pack):
        if field in taken:
            yield name, f"adds a field {field!r} to its answers, which is there already: rename that."
        taken.add(field)


def _added(pack: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if pack.get("brand_field"):
        yield "brand_field", BRAND
    for box in pack.get("boxes") or ():
        yield from (("boxes", field) for field in (stored(box), share(box)))
    if field := pack.get("box_image"):
        yield "box_image", view(field)
    if pack.get("choices"):
        yield from (("choices", field) for field in (CATEGORY, STEPS))


def _fields(schema: Any, root: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The properties that an object may have under a schema, and what they may be."""
    for part in _parts(schema, root, ("allOf", "anyOf", "oneOf")):
        yield from part.get("properties", {}).items()


def _kinds(schema: Any, root: Mapping[str, Any]) -> set[str]:
    """The types that a value may have, as far as a schema says; all where it does not."""
    found = {kind for part in _parts(schema, root, ("anyOf", "oneOf")) for kind in _said(part)}
    if "number" in found:
        found.add("integer")
    return found or set(KINDS)


def _parts(schema: Any, root: Mapping[str, Any], within: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """A schema, and those that it is made of, references followed: `json_schemas` let in none that circle."""
    if not isinstance(schema, dict):
        return
    yield schema
    if "$ref" in schema:
        yield from _parts(_resolved(schema["$ref"], root), root, within)
    for keyword in within:
        for inner in schema.get(keyword, ()):
            yield from _parts(inner, root, within)


def _said(schema: Mapping[str, Any]) -> Iterator[str]:
    said = schema.get("type", [])
    yield from [said] if isinstance(said, str) else said
    values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
    yield from (OF_VALUES.get(type(value), "null") for value in values)


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    _, place, name = reference.split("/", 2)
    return root.get(place, {}).get(name.replace("~1", "/").replace("~0", "~"))

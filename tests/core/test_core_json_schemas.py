"""Schemas from strangers: taken where every answer is quickly held against them, else refused in words."""

import pytest

from core import json_schemas
from core.errors import InvalidRequest

BOMB = {
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)} | {"d30": {}},
    "$ref": "#/$defs/d0",
}


def nested(levels):
    schema = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


REFUSED = {
    "a type that there is not": ({"type": "strin"}, r"\$\.type"),
    "properties that are a list": ({"properties": []}, "no JSON Schema"),
    "no object": ([], "JSON object"),
    "a reference over the network": ({"$ref": "https://example.com/s.json"}, "not followed|only #"),
    "a reference to a file": ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "only #"),
    "a reference to nothing": ({"$ref": "#/$defs/a"}, "there is no"),
    "a reference to itself": ({"$ref": "#"}, "only #"),
    "definitions in a circle": ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "refers to itself"),
    "doubling references": (BOMB, "more than 2,000"),
    "a pattern": ({"properties": {"a": {"pattern": "(a+)+$"}}}, "patterns are not taken"),
    "patterns of names": ({"patternProperties": {"(a+)+$": {}}}, "patterns are not taken"),
    "an address": ({"$id": "https://example.com/"}, "no address"),
    "an unpaired surrogate": ({"enum": ["\ud800"]}, "text that is none"),
    "a NUL": ({"enum": ["\0"]}, "NUL"),
    "not a number": ({"const": float("nan")}, "number"),
    "too many bytes": ({"enum": ["x" * 40_000]}, "32,768 bytes"),
    "too deep": (nested(40), "32 levels"),
    "deeper than Python goes": (nested(5_000), "32 levels"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_schema_that_could_be_slow_or_is_none_is_refused_in_words(what):
    schema, why = REFUSED[what]
    with pytest.raises(InvalidRequest, match=why) as caught:
        json_schemas.check(schema, "response_format")
    assert caught.value.details == {"field": "response_format"}
    assert len(caught.value.message) < 500


def test_a_property_may_be_called_like_a_keyword():
    names = {"pattern": {"type": "string"}, "$ref": {"type": "string"}}
    json_schemas.check({"properties": names}, "response_format")
    with pytest.raises(InvalidRequest):  # beside them, where they are keywords, they are judged
        json_schemas.check(names, "response_format")


def test_references_to_definitions_are_taken():
    schema = {"$defs": {"a/b": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a~1b"}}}
    json_schemas.check(schema, "response_format")
    with pytest.raises(InvalidRequest):
        json_schemas.check({"properties": schema["properties"]}, "response_format")


@pytest.mark.parametrize(
    "response_format",
    ["json", {}, {"type": "xml"}, {"type": "json_schema"},
     {"type": "json_schema", "json_schema": {"schema": 1}},
     {"type": "json_schema", "json_schema": {"name": "no spaces please", "schema": {}}},
     {"type": "json_schema", "json_schema": {"name": 7, "schema": {}}}],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(response_format):
    with pytest.raises(InvalidRequest, match="response_format"):
        json_schemas.schema_of(response_format)


def test_plain_text_asks_for_no_schema_and_json_for_an_object():
    assert json_schemas.schema_of({"type": "text"}) is None
    assert json_schemas.schema_of({"type": "json_object"}) == {"type": "object"}


def test_only_schemas_that_leave_nothing_open_are_asked_for_strictly():
    closed = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    assert json_schemas.is_closed(closed)
    assert not json_schemas.is_closed(closed | {"required": []})
    assert not json_schemas.is_closed({"type": "array", "items": {"type": "object"}})

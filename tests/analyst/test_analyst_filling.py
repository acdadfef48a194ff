"""A filled schema always validates, and holds what was measured where it is asked for."""

import io
import time

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from local.analyst.fill import UnfillableError, fill
from local.analyst.findings import findings
from local.analyst.measure import measure

MEASURED = ["dominant_colors", "mainColor", "color", "hex", "background", "background_color", "image_quality"]
MEASURED += [
    "has_text_overlay",
    "sharpness",
    "is_blurry",
    "brightness",
    "width",
    "subject_box",
    "size",
    "tags",
]
MEASURED += ["description", "confidence", "answer", "images", "noise", "notes", "aspect_ratio", "orientation"]
UNMEASURED = ["brand", "material", "price", "logo_width", "x", "kind", "share"]


def _facts():
    image = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(image).rectangle((100, 50, 199, 149), "#d7262b")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return findings([measure(buffer.getvalue())], "It is red.", "en")


FACTS = _facts()


def _fill(**properties):
    return fill({"type": "object", "properties": properties, "required": list(properties)}, FACTS)


def _bounds(draw, low_key, high_key, values):
    low, high = sorted((draw(values), draw(values)))
    keys = {low_key: low, high_key: high}
    return {key: keys[key] for key in keys if draw(st.booleans())}


@st.composite
def strings(draw):
    return {"type": "string", **_bounds(draw, "minLength", "maxLength", st.integers(0, 30))}


@st.composite
def numbers(draw):
    kind = draw(st.sampled_from(["number", "integer"]))
    return {"type": kind, **_bounds(draw, "minimum", "maximum", st.integers(-200, 200))}


def enums():
    words = ["white", "red", "good", "poor", "high", "unknown", "other", "plain", None, 3, True]
    return st.lists(st.sampled_from(words), min_size=1, unique_by=repr).map(lambda members: {"enum": members})


@st.composite
def arrays(draw, items):
    return {"type": "array", "items": draw(items), **_bounds(draw, "minItems", "maxItems", st.integers(0, 4))}


@st.composite
def objects(draw, values):
    properties = draw(st.dictionaries(st.sampled_from(MEASURED + UNMEASURED), values, max_size=5))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    schema = {"type": "object", "properties": properties, "required": required}
    return schema | draw(st.sampled_from([{}, {"additionalProperties": False}]))


def schemas():
    leaves = st.one_of(
        strings(),
        numbers(),
        enums(),
        st.sampled_from(
            [
                {"type": "boolean"},
                {"type": "null"},
                {},
                {"type": ["string", "null"]},
                {"type": ["number", "string"]},
                {"$ref": "#/$defs/shade"},
                {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
            ]
        ),
    )
    return st.recursive(leaves, _combined, max_leaves=12)


def _combined(inner):
    nullable = inner.map(lambda schema: {"anyOf": [schema, {"type": "null"}]})
    either = st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches})
    both = objects(inner).map(lambda schema: {"allOf": [schema, {"type": "object"}]})
    return st.one_of(arrays(inner), objects(inner), nullable, either, both)


DEFS = {
    "shade": {"type": "object", "properties": {"name": {"type": "string"}, "share": {"type": "number"}}},
    "tree": {"type": "object", "properties": {"color": {"type": "string"}, "x": {"$ref": "#/$defs/tree"}}},
}


@settings(max_examples=300, deadline=None)
@given(schemas())
def test_a_filled_schema_always_validates(schema):
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"], "$defs": DEFS}
    jsonschema.Draft202012Validator(whole).validate(fill(whole, FACTS))


def test_measured_properties_are_filled_by_name_in_the_form_asked_for():
    assert _fill(
        mainColor={"type": "string"},
        dominant_colors={"type": "array", "items": {"type": "object", "properties": {"hex": {}, "name": {}}}},
        background_color={"enum": ["black", "white"]},
        image_quality={"enum": ["low", "medium", "high"]},
        sharpness={"type": "integer", "minimum": 0, "maximum": 10},
        has_text_overlay={"type": "boolean"},
        is_blurry={"type": "boolean"},
        image_width={"type": "integer"},
        orientation={"type": "string"},
    ) == {
        "mainColor": "red",
        "dominant_colors": [{"hex": "#d7262b", "name": "red"}],
        "background_color": "white",
        "image_quality": "high",
        "sharpness": 9,
        "has_text_overlay": False,
        "is_blurry": False,
        "image_width": 400,
        "orientation": "landscape",
    }


def test_what_pixels_do_not_show_is_null_or_unknown_and_never_guessed():
    assert _fill(
        brand={"type": ["string", "null"]},
        material={"type": "string"},
        category={"enum": ["shoes", "other"]},
        shoelace_color={"type": "string"},
        logo={"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
        defects={"type": "array", "items": {"type": "string"}},
        is_new={"type": "boolean"},
        price={"type": "number"},
    ) == {
        "brand": None,
        "material": "unknown",
        "category": "other",
        "shoelace_color": "unknown",
        "logo": {"color": "unknown"},
        "defects": [],
        "is_new": False,
        "price": 0,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema"},
        {"type": "nonsense"},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": "^[0-9]{13}$"},
        {"type": "integer", "minimum": 3, "maximum": 2},
    ],
)
def test_a_schema_without_an_honest_answer_is_refused(schema):
    with pytest.raises(UnfillableError):
        fill(schema, FACTS)


def test_a_schema_that_branches_into_itself_is_filled_quickly():
    branches = {name: {"$ref": "#"} for name in ("color", "left", "right", "text", "images")}
    schema = {"type": "object", "properties": branches}
    started = time.monotonic()
    jsonschema.Draft202012Validator(schema).validate(fill(schema, FACTS))
    assert time.monotonic() - started < 5

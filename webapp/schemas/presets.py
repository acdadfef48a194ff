"""Presets as clients send and see them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.image_sizes import DETAILS
from core.services.analyses import CONTEXT_LENGTH, QUESTION_LENGTH
from webapp.schemas.analyses import AnalysisView
from webapp.schemas.submissions import (
    DETAIL,
    IMAGE_TOKENS,
    LONGEST_WAIT,
    MOST_TOKENS,
    OPTIONS,
    SAYS_SOMETHING,
    ImageSchema,
    stronger_model,
)
from webapp.schemas.values import Flag, JsonObject, Options, Question, Real, Text, Whole

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"


class VariantJson(Schema):
    """What options change."""

    when = JsonObject(
        required=True, metadata={"description": "JSON Schema: the variant holds where the options fit it."}
    )
    prompt = Text(validate=validate.Length(max=4_000), metadata={"description": "Added to the prompt."})
    schema = JsonObject(
        metadata={"description": "Laid over the schema: objects are merged, lists joined, the rest replaced."}
    )


class ModelsJson(Schema):
    """A cascade."""

    first = Text(required=True, validate=validate.Length(1, 200))
    stronger = Text(required=True, validate=validate.Length(1, 200))
    threshold = Real(
        strict=True,
        validate=validate.Range(0, 1),
        metadata={"description": "Below this confidence the stronger model is asked too; 0.7 without it."},
    )
    must_know = fields.List(
        Text(validate=validate.Length(1, 100)),
        validate=validate.Length(max=50),
        metadata={"description": "It is asked too where one of these is null, unknown, or not sure enough."},
    )


class PresetJson(Schema):
    """A preset of the account's own; one of the same name becomes its next version."""

    name = Text(
        required=True,
        validate=validate.Regexp(NAME, error="Use 1 to 64 small letters, digits, _ and -."),
        metadata={"example": "shoe-check"},
    )
    title = Question(required=True, validate=validate.Length(max=200), metadata=SAYS_SOMETHING)
    prompt = Question(required=True, validate=validate.Length(max=20_000), metadata=SAYS_SOMETHING)
    question = Question(required=True, validate=validate.Length(max=QUESTION_LENGTH), metadata=SAYS_SOMETHING)
    detail = Text(validate=validate.OneOf(DETAILS), metadata=DETAIL)
    max_image_tokens = Whole(
        strict=True, allow_none=True, validate=validate.Range(1, MOST_TOKENS), metadata=IMAGE_TOKENS
    )
    schema = JsonObject(
        allow_none=True, metadata={"description": "JSON Schema of its answers; plain text without one."}
    )
    options = JsonObject(
        allow_none=True, metadata={"description": "JSON Schema of the options that a submission may give."}
    )
    variants = fields.List(fields.Nested(VariantJson), validate=validate.Length(max=50))
    found_field = Text(
        allow_none=True,
        validate=validate.Length(1, 100),
        metadata={
            "description": "The field of its answers that says whether there is a brand or a box at all."
        },
    )
    brand_field = Text(
        allow_none=True,
        validate=validate.Length(1, 100),
        metadata={"description": "The field of its answers that names a brand, to be looked up."},
    )
    models = fields.Nested(ModelsJson, allow_none=True)
    choices = Text(
        allow_none=True,
        validate=validate.Length(1, 100),
        metadata={
            "description": "The option that names a taxonomy: its answers have a category_id out of it."
        },
    )
    boxes = fields.List(
        Text(validate=validate.Length(1, 100)),
        validate=validate.Length(max=10),
        metadata={"description": "Fields of its answers that are boxes on an image."},
    )
    box_image = Text(
        allow_none=True,
        validate=validate.Length(1, 100),
        metadata={
            "description": "The field of its answers with the number of that image, from 1; else it is 1."
        },
    )


class TryJson(Schema):
    """What to try a preset with."""

    images = fields.List(fields.Nested(ImageSchema), load_default=list, validate=validate.Length(max=100))
    question = Question(validate=validate.Length(max=QUESTION_LENGTH), metadata=SAYS_SOMETHING)
    context = Text(validate=validate.Length(max=CONTEXT_LENGTH))
    preset_options = Options(metadata=OPTIONS)
    model = Text(validate=validate.Length(1, 200))
    stronger_model = stronger_model()
    max_tokens = Whole(strict=True, validate=validate.Range(1, MOST_TOKENS))
    run = Flag(
        load_default=False,
        metadata={"description": "Make the paid call; without it, what would be sent is shown."},
    )
    wait = Real(strict=True, load_default=30, validate=validate.Range(0, LONGEST_WAIT))


class VersionView(Schema):
    """A version of a preset."""

    version = fields.Integer(required=True)
    title = fields.String(required=True)


class PresetView(Schema):
    """A preset in its newest version."""

    name = fields.String(required=True)
    object = fields.String(required=True, metadata={"enum": ["preset"]})
    version = fields.Integer(required=True)
    built_in = fields.Boolean(required=True)
    title = fields.String(required=True)
    prompt = fields.String(required=True)
    question = fields.String(required=True)
    detail = fields.String(required=True)
    max_image_tokens = fields.Integer(required=True, allow_none=True)
    schema = fields.Dict(required=True, allow_none=True)
    options = fields.Dict(required=True, allow_none=True)
    variants = fields.List(fields.Dict(), required=True)
    found_field = fields.String(required=True, allow_none=True)
    brand_field = fields.String(required=True, allow_none=True)
    boxes = fields.List(fields.String(), required=True)
    box_image = fields.String(required=True, allow_none=True)
    choices = fields.String(required=True, allow_none=True)
    models = fields.Dict(required=True, allow_none=True)


class PresetVersions(PresetView):
    """A preset in one version, and which others there are."""

    versions = fields.List(fields.Nested(VersionView), required=True)


class PresetList(Schema):
    """Every preset that the account may name."""

    data = fields.List(fields.Nested(PresetView), required=True)


class VersionQuery(Schema):
    """Which version."""

    version = Whole(
        validate=validate.Range(1, 2**31 - 1), metadata={"description": "The newest without one."}
    )


class CallView(Schema):
    """A paid call that may have to be made."""

    purpose = fields.String(
        required=True,
        metadata={"description": "answer, or step 1 and so on; stronger; repair.", "example": "answer"},
    )
    model = fields.String(required=True)
    worst_tokens = fields.Integer(required=True)
    worst_cost = fields.Float(required=True, allow_none=True, metadata={"description": "USD."})


class TryView(Schema):
    """What a trial came to, or what it would send."""

    preset = fields.String(required=True)
    preset_version = fields.Integer(required=True)
    model = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Asked first; null where the preset asks nobody."},
    )
    stronger_model = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Asked too where that answer is not enough."},
    )
    messages = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "Of the first call; … stands for an image, and for a size not known yet."},
    )
    response_format = fields.Dict(required=True, allow_none=True)
    calls = fields.List(
        fields.Nested(CallView),
        required=True,
        metadata={"description": "All that may have to be made; none where the preset asks nobody."},
    )
    worst_tokens = fields.Integer(
        required=True, metadata={"description": "Of all calls; images of unknown size are not counted."}
    )
    worst_cost = fields.Float(required=True, allow_none=True, metadata={"description": "USD, likewise."})
    analysis = fields.Nested(AnalysisView, required=True, allow_none=True)


class DeletedPreset(Schema):
    """What was deleted."""

    name = fields.String(required=True)
    object = fields.String(required=True)
    deleted = fields.Boolean(required=True)

"""Analyses as clients send and see them."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from core.addresses import LONGEST
from core.image_sizes import DETAILS
from core.quality import rule_sets
from core.services.analyses import CONTEXT_LENGTH, QUESTION_LENGTH
from core.services.items import SOURCES
from core.services.near_reuse import NEAR
from core.services.webhooks import Told
from core.signing import MOST_CHARACTERS
from core.states import AnalysisState
from core.views import SKU_LENGTH, VIEW_LENGTH
from webapp.schemas.pages import PageSize, cursor
from webapp.schemas.values import CacheField, JsonObject, Metadata, Options, Question, Real, Text, Whole

DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w=.+-]+)*;base64,", re.ASCII)
MOST_TOKENS = 128_000
LONGEST_WAIT = 60


DETAIL = {
    "description": "How large images are sent: about 1,024 px, and no tokens that show little (`auto`), 512"
    " px (`low`), 2,048 px (`high`), or all that the model looks at (`max`)."
}
IMAGE_TOKENS = {
    "description": "The most tokens that each image may take, by how the model is known to count."
}


class FilePart(fields.Field[Any]):
    """A file of a multipart body."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if isinstance(value, list):
            raise ValidationError(f"Send one file, not {len(value)}.")
        if not hasattr(value, "stream"):
            raise ValidationError("Must be a file.")
        return value


def file_part(**kwargs: Any) -> FilePart:
    """A file, as OpenAPI 3.1 describes one."""
    # `format: binary` is what pages that show the document make a file chooser of.
    media = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    return FilePart(metadata=media, **kwargs)


class Base64(fields.String):
    """Bytes as base64 or as a data URL."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return decoded(super()._deserialize(value, attr, data, **kwargs))


def decoded(text: str) -> bytes:
    """The bytes of base64 or of a data URL. Raises ValidationError."""
    encoded = text[match.end() :] if (match := DATA_URL.match(text)) else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValidationError("Not valid base64, nor a base64 data URL.") from error


VIEW = {"description": "What an image shows, unlike the others; the model is told it.", "example": "front"}
SKU = {"description": "The product, as the shop calls it.", "example": "A-1", "pattern": r"\S"}


def sku() -> Text:
    """The shop's own key of a product."""
    return Text(validate=[validate.Length(1, SKU_LENGTH), _says_something], metadata=SKU)


def _says_something(text: str) -> None:
    if not text.strip():
        raise ValidationError("Must not be blank.")


class ImageSchema(Schema):
    """One image: a file that was uploaded before, its bytes, or where to fetch it."""

    file_id = Text(validate=validate.Length(1, 40))
    base64 = Base64(metadata={"description": "Base64, or a data URL."})
    url = Text(
        validate=validate.Length(1, LONGEST),
        metadata={
            "description": "An http(s) address that a worker fetches it from.",
            "example": "https://shop.example/images/mug.jpg",
        },
    )
    name = Text(validate=validate.Length(max=255))
    view = Text(validate=validate.Length(1, VIEW_LENGTH), metadata=VIEW)

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        if len(SOURCES & data.keys()) != 1:
            raise ValidationError("Give one of file_id, base64 and url.")


SAYS_SOMETHING = {"minLength": 1, "pattern": r"\S"}
DEFAULT = {"description": "The default where it is left out.", "example": ""}
"""Pages that show the document fill their forms with examples; an empty text is one left out."""


class ToldSchema(Schema):
    """Where events of a submission go, loaded as `told`."""

    webhook_url = Text(
        validate=validate.Length(1, LONGEST),
        metadata={"description": "Who is to be told of this submission's events."},
    )
    webhook_secret = Text(
        validate=validate.Length(1, MOST_CHARACTERS),
        metadata={"description": "Signs what is sent there: `whsec_…` or any text of 8 characters and more."},
    )

    @post_load
    def _told(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        url, secret = data.pop("webhook_url", None), data.pop("webhook_secret", None)
        if secret is not None and url is None:
            raise ValidationError("Give a webhook_url too.", "webhook_secret")
        return data if url is None else data | {"told": Told(url, secret)}


def reuse_field() -> Text:
    """Whether an answer about a picture that shows the same will do."""
    return Text(
        validate=validate.OneOf([NEAR]),
        metadata={
            "description": "Takes an earlier answer to the same question about one image that shows the same"
            " as its own, as far as `cache` allows earlier answers at all. Off by default: the pictures are"
            " near, and not the same."
        },
    )


class _Question(Schema):
    question = Question(
        validate=validate.Length(max=QUESTION_LENGTH),
        metadata={
            "description": "What is asked; a preset has a question of its own.",
            "example": "What colour is it?",
            **SAYS_SOMETHING,
        },
    )
    context = Text(
        validate=validate.Length(max=CONTEXT_LENGTH),
        metadata={"description": "What the shop knows; data to the model, never instructions."},
    )
    preset = Text(metadata={"example": "product"}, validate=validate.Length(max=100))
    detail = Text(validate=validate.OneOf(DETAILS), metadata=DETAIL)
    cache = CacheField()
    reuse = reuse_field()


FORM = {
    "description": "The form of the answer, in OpenAI's shape; a preset with a schema has one of its own.",
    "example": {
        "type": "json_schema",
        "json_schema": {
            "name": "colour",
            "schema": {
                "type": "object",
                "properties": {"colour": {"type": "string"}},
                "required": ["colour"],
                "additionalProperties": False,
            },
        },
    },
}
STREAM = "Tell its text while it is made, to whoever follows /analyses/{id}/stream."
OPTIONS = {"description": "Options of the preset, which says what they are.", "example": {}}


def all_different(values: list[Any]) -> None:
    """Raises ValidationError where a value is there twice."""
    if len(set(values)) < len(values):
        raise ValidationError("Each may be named once.")


def required_quality() -> fields.List[Any]:
    """Rule sets that images must keep to."""
    return fields.List(
        Text(validate=validate.OneOf(list(rule_sets()))),
        validate=[validate.Length(max=10), all_different],
        metadata={
            "description": "Rule sets that the images must keep to, or nothing is asked and it fails.",
            "uniqueItems": True,
        },
    )


def stronger_model() -> Text:
    """The second of a cascade."""
    return Text(
        validate=validate.Length(1, 200),
        metadata={
            "description": "Asked too where the first answer does not fit its schema or is not sure enough."
        },
    )


class SubmitJson(_Question, ToldSchema):
    """An analysis to be made."""

    images = fields.List(fields.Nested(ImageSchema), required=True, validate=validate.Length(min=1))
    sku = sku()
    model = Text(validate=validate.Length(max=200))
    stronger_model = stronger_model()
    max_tokens = Whole(strict=True, validate=validate.Range(1, MOST_TOKENS), metadata={"example": 500})
    max_image_tokens = Whole(strict=True, validate=validate.Range(1, MOST_TOKENS), metadata=IMAGE_TOKENS)
    temperature = Real(strict=True, validate=validate.Range(0, 2), metadata={"example": 0.2})
    metadata = Metadata(metadata={"example": {"sku": "A-1"}})
    preset_options = Options(metadata=OPTIONS)
    response_format = JsonObject(metadata=FORM)
    require_quality = required_quality()
    stream = fields.Boolean(truthy={True}, falsy={False}, metadata={"description": STREAM, "example": False})
    wait = Real(
        strict=True,
        validate=validate.Range(0, LONGEST_WAIT),
        metadata={"description": "Seconds to wait for the answer before answering 202."},
    )


class _FormNumbers(_Question):
    model = Text(validate=validate.Length(max=200), metadata=DEFAULT)
    max_tokens = Whole(validate=validate.Range(1, MOST_TOKENS), metadata={"example": 500})
    max_image_tokens = Whole(validate=validate.Range(1, MOST_TOKENS), metadata=IMAGE_TOKENS)
    temperature = Real(validate=validate.Range(0, 2), metadata={"example": 0.2})


class SubmitForm(_FormNumbers, ToldSchema):
    """An analysis to be made, with its images as files."""

    file = fields.List(file_part(), required=True, validate=validate.Length(min=1))
    view = fields.List(
        Text(validate=validate.Length(1, VIEW_LENGTH)),
        metadata={"description": "What each file shows, as often as there are files.", "example": ["front"]},
    )
    sku = sku()
    stronger_model = stronger_model()
    metadata = Metadata(metadata={"description": "A JSON object.", "example": {"sku": "A-1"}})
    preset_options = Options(metadata=OPTIONS)
    response_format = JsonObject(metadata=FORM)
    require_quality = required_quality()
    stream = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": STREAM, "example": False}
    )
    wait = Real(validate=validate.Range(0, LONGEST_WAIT), metadata={"example": 10})


class AskForm(_FormNumbers):
    """A question about one image."""

    file = file_part(required=True)
    question = Question(
        required=True,
        validate=validate.Length(max=QUESTION_LENGTH),
        metadata={"example": "What colour is it?", **SAYS_SOMETHING},
    )

    class Meta:
        """The preset and context are fixed."""

        exclude = ("preset", "context")


def on_leave() -> Text:
    """What becomes of an analysis whose client leaves its stream."""
    return Text(
        load_default="continue",
        validate=validate.OneOf(["continue", "cancel"]),
        metadata={"description": "When the client leaves: go on all the same, or cancel and keep what came."},
    )


class StreamForm(AskForm):
    """A question about one image, whose answer is followed."""

    on_leave = on_leave()


class FollowQuery(Schema):
    """How to follow an analysis."""

    on_leave = on_leave()


class AskWithContextForm(AskForm):
    """A question about one image, with what the shop knows."""

    context = Text(required=True, validate=validate.Length(1, CONTEXT_LENGTH))

    class Meta:
        """The preset is fixed."""

        exclude = ("preset",)


class ProductForm(_FormNumbers):
    """A product photograph to be described."""

    image = file_part(required=True)
    preset_options = Options(metadata=OPTIONS)

    class Meta:
        """The preset is fixed."""

        exclude = ("preset",)


class WaitQuery(Schema):
    """How long to look."""

    wait = Real(
        load_default=0,
        validate=validate.Range(0, LONGEST_WAIT),
        metadata={"description": "Seconds to wait until it is finished."},
    )


class PageQuery(PageSize):
    """Which analyses, and which page of them."""

    cursor = cursor("an")
    status = Text(validate=validate.OneOf([state.value for state in AnalysisState]))
    preset = Text(validate=validate.Length(1, 100))
    model = Text(validate=validate.Length(max=200))
    sku = Text(validate=validate.Length(1, SKU_LENGTH))


class PromptDetails(Schema):
    """Parts of the prompt tokens."""

    cached_tokens = fields.Integer(required=True)
    image_tokens = fields.Integer(required=True)


class CompletionDetails(Schema):
    """Parts of the completion tokens."""

    reasoning_tokens = fields.Integer(required=True)


class UsageSchema(Schema):
    """Tokens, over every call that was made for this answer."""

    prompt_tokens = fields.Integer(required=True)
    completion_tokens = fields.Integer(required=True)
    total_tokens = fields.Integer(required=True)
    prompt_tokens_details = fields.Nested(PromptDetails, required=True)
    completion_tokens_details = fields.Nested(CompletionDetails, required=True)


class CostSchema(Schema):
    """Money, over every call that was made for this answer; 0 before any, null where it has no price."""

    prompt_cost = fields.Float(required=True, allow_none=True)
    completion_cost = fields.Float(required=True, allow_none=True)
    total_cost = fields.Float(required=True, allow_none=True)
    currency = fields.String(required=True)


class SpentSchema(Schema):
    """A model of a cascade, and what was spent on it; null where it was not asked, or has no price."""

    model = fields.String(required=True)
    total_cost = fields.Float(required=True, allow_none=True)


class CascadeSchema(Schema):
    """A cheap model that is asked first, and a stronger one that is asked where that is not enough."""

    first = fields.Nested(SpentSchema, required=True)
    stronger = fields.Nested(SpentSchema, required=True)
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why the stronger one was asked."}
    )


class ImageView(Schema):
    """An image of an analysis, and what was done to it before it was sent."""

    view = fields.String(
        required=True, allow_none=True, metadata={"description": "What it shows, as the client calls it."}
    )
    url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where it is fetched from, if it was not sent."},
    )
    file_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null, as what follows, until it is fetched."},
    )
    file_name = fields.String(required=True, allow_none=True)
    file_size = fields.Integer(required=True, allow_none=True)
    media_type = fields.String(required=True, allow_none=True)
    sha256 = fields.String(required=True, allow_none=True)
    preparation = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "Size, bytes and tokens as it came (`original`) and as it was sent (`sent`), the"
            " scale between, and what was done (`actions`). The `quality` of what was sent is its JPEG"
            " encoder's, and null where the picture was `kept` as it was saved, without its metadata. Null"
            " where nothing was sent: before it was asked about, and where an earlier answer was given."
        },
    )


class Problem(Schema):
    """Why there is no answer."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class ReusedFrom(Schema):
    """The analysis of another image that shows the same, whose answer was given again."""

    id = fields.String(required=True)
    distance = fields.Integer(
        required=True, metadata={"description": "Bits of 256 by which the images' hashes differ."}
    )


class AnalysisView(Schema):
    """An analysis as it stands."""

    id = fields.String(required=True, metadata={"example": "an_01kaj3c0dpw8w0z3f6s9q2xk7v"})
    object = fields.String(required=True, metadata={"enum": ["analysis"]})
    status = fields.String(required=True, metadata={"enum": [state.value for state in AnalysisState]})
    reason = fields.String(required=True, allow_none=True)
    preset = fields.String(required=True)
    preset_version = fields.Integer(required=True)
    model = fields.String(required=True)
    preset_options = fields.Dict(required=True, allow_none=True)
    response_format = fields.Dict(required=True, allow_none=True)
    require_quality = fields.List(fields.String(), required=True, allow_none=True)
    question = fields.String(required=True, allow_none=True)
    context = fields.String(required=True, allow_none=True)
    sku = fields.String(required=True, allow_none=True)
    detail = fields.String(required=True)
    max_image_tokens = fields.Integer(required=True, allow_none=True)
    metadata = fields.Dict(required=True)
    trial = fields.Boolean(required=True, metadata={"description": "Whether a preset was tried with it."})
    images = fields.List(fields.Nested(ImageView), required=True)
    answer = fields.String(required=True, allow_none=True)
    data = fields.Raw(required=True, allow_none=True)
    confidence = fields.Float(required=True, allow_none=True)
    finish_reason = fields.String(required=True, allow_none=True)
    error = fields.Nested(Problem, required=True, allow_none=True)
    usage = fields.Nested(UsageSchema, required=True)
    cost = fields.Nested(CostSchema, required=True)
    cached = fields.Boolean(
        required=True, metadata={"description": "Whether it has the answer of an earlier analysis."}
    )
    cached_from = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "That analysis, which may be deleted by now."},
    )
    reused_from = fields.Nested(ReusedFrom, required=True, allow_none=True)
    cascade = fields.Nested(CascadeSchema, required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    processing_time = fields.Float(
        required=True, allow_none=True, metadata={"description": "Seconds from the first try to the end."}
    )
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    deadline_at = fields.DateTime(required=True)
    request_id = fields.String(required=True)


class AnalysisPage(Schema):
    """A page of analyses, the newest first."""

    data = fields.List(fields.Nested(AnalysisView), required=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class Deleted(Schema):
    """What was deleted."""

    id = fields.String(required=True)
    object = fields.String(required=True)
    deleted = fields.Boolean(required=True)

"""Embeddings as OpenAI's clients send and see them."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields


class EmbeddingsBody(Schema):
    """A request of OpenAI's embeddings API; fields that are not named here go to the endpoint as they are."""

    class Meta:
        """Whatever else comes."""

        unknown = INCLUDE

    model = fields.Raw(metadata={"type": ["string", "null"], "description": "The default where left out."})
    input = fields.Raw(
        required=True,
        metadata={
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}],
            "description": "A text, a list of texts, a list of tokens, or a list of those.",
        },
    )


class EmbeddingList(Schema):
    """What the endpoint answered, as it came."""

    class Meta:
        """Whatever else comes."""

        unknown = INCLUDE

    data = fields.List(fields.Dict(), required=True)
    usage = fields.Dict()

"""An image's embedding: how the endpoint is asked for it, and the vector that it says.

OpenAI has no form for it. This is vLLM's, a chat without an answer, which takes any of its models that embed
images: https://docs.vllm.ai/en/v0.9.2/examples/online_serving/openai_chat_embedding_client_for_multimodal.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.errors import ModelError
from core.services.outcomes import Answer, Claim
from worker.imaging import Prepared
from worker.paths import EMBEDDINGS
from worker.prompt import Request
from worker.vision import Reply

MOST_DIMENSIONS = 16_000
"""That pgvector keeps."""


def request(claim: Claim, image: Prepared) -> Request:
    """The request for the embedding of one prepared image."""
    picture = {"type": "image_url", "image_url": {"url": image.data_url()}}
    return Request(
        path=EMBEDDINGS,
        parameters={
            "model": claim.model,
            "messages": [{"role": "user", "content": [picture]}],
            "encoding_format": "float",
        },
        text="",
        most_tokens=0,
        likely_tokens=0,
    )


def vector(reply: Reply) -> tuple[float, ...]:
    """The vector in a reply, made of length 1. Raises ModelError where there is none, or several."""
    rows = reply.completion["data"]
    if len(rows) != 1 or not isinstance(rows[0], dict) or not _is_vector(rows[0].get("embedding")):
        raise ModelError("The endpoint answered with no vector for the image.")
    numbers = rows[0]["embedding"]
    try:
        length = math.hypot(*numbers)
    except OverflowError:  # a whole number beyond what a float holds
        length = math.inf
    if not 0 < length < math.inf:
        raise ModelError("The endpoint answered with a vector that points nowhere.")
    return tuple(number / length for number in numbers)


def answer(found: Sequence[float]) -> Answer:
    """What an analysis says that has made a vector, which is kept elsewhere."""
    return Answer("", {"dimensions": len(found)}, None, None)


def _is_vector(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MOST_DIMENSIONS
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    )

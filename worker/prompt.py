"""What is said to the model: the preset's words as the system's, everything of the client's as the user's.

The parts that never change come first, so that endpoints can cache them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.presets.brief import Brief
from core.services.models import sampling
from core.services.outcomes import Claim
from worker.paths import CHAT

IN_WORDS = "Answer with one JSON value that fits this JSON Schema, and with nothing else:\n"

Message = dict[str, Any]

DETAILS_SENT = {"max": "high"}
"""How endpoints call what they have no name for."""
REPAIR = (
    "That answer does not fit the schema: {problem}\n"
    "Answer once more with JSON that fits the schema, and with nothing else."
)
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
"""The usage of a stream is always asked for, since it goes into the books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent to the endpoint, and what of it costs."""

    parameters: dict[str, Any]
    text: str
    """At least all the text that is paid for."""
    most_tokens: int
    """Of the answer, at the very most."""
    likely_tokens: int
    """Of the answer, as a rate limit counts it beforehand."""
    path: str = CHAT
    """Below the endpoint's address."""
    streamed: bool = False
    """Whether somebody watches the answer being made."""
    with_chunks: bool = False
    """Whether they want the endpoint's own chunks, and not only the text."""


def request(
    analysis: Claim, messages: Sequence[Message], response_format: Mapping[str, Any] | None
) -> Request:
    """The request for an answer to these messages; `response_format` is what the endpoint holds it to."""
    parameters: dict[str, Any] = {"model": analysis.model, "messages": list(messages)}
    parameters |= sampling(analysis.model, analysis.max_tokens, analysis.temperature)
    if response_format is not None:
        parameters["response_format"] = response_format
    if analysis.streamed:
        parameters |= STREAMED
    return Request(
        parameters=parameters,
        text=text_of(messages) + json.dumps(response_format or ""),
        most_tokens=analysis.max_tokens,
        likely_tokens=analysis.max_tokens,
        streamed=analysis.streamed,
    )


def build(brief: Brief, analysis: Claim, hints: Sequence[str], images: Sequence[str]) -> list[Message]:
    """The messages of a first call; images are data URLs in their order.

    What is the same for all of a batch comes before what is not: endpoints cache how prompts begin.
    """
    said = [*brief.asked(analysis.question), *hints, *brief.background(analysis.context)]
    parts = [{"type": "text", "text": text} for text in said]
    detail = DETAILS_SENT.get(analysis.detail, analysis.detail)
    pictures = [{"type": "image_url", "image_url": {"url": url, "detail": detail}} for url in images]
    shown = _labelled(pictures, analysis.views) if any(analysis.views) else pictures
    return [{"role": "system", "content": brief.prompt}, {"role": "user", "content": [*parts, *shown]}]


def _labelled(pictures: Sequence[Message], views: Sequence[str | None]) -> list[Message]:
    """Each picture behind a line that says which view it is."""
    labels = (f"Image {place}: {view}" if view else f"Image {place}" for place, view in enumerate(views, 1))
    texts = ({"type": "text", "text": label} for label in labels)
    return [part for pair in zip(texts, pictures, strict=True) for part in pair]


def repair(messages: Sequence[Message], answer: str, problem: str) -> list[Message]:
    """The messages of a second call, which shows the model its answer and what is wrong with it."""
    return [
        *messages,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": REPAIR.format(problem=problem)},
    ]


def text_of(messages: Sequence[Message]) -> str:
    """All the text of the messages, for estimating its tokens."""
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    plain = [content for content in contents if isinstance(content, str)]
    return "\n".join([*plain, *(part["text"] for part in parts if part["type"] == "text")])


def told(messages: Sequence[Message], brief: Brief) -> list[Message]:
    """The messages for an endpoint that is told the schema in words."""
    system, *others = messages
    return [system | {"content": f"{system['content']}\n\n{IN_WORDS}{json.dumps(brief.schema)}"}, *others]

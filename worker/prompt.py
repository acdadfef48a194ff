"""The request for an answer to what is said to the model, and what of it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.presets.messages import Message, text_of
from core.services.models import sampling
from core.services.outcomes import Claim
from worker.paths import CHAT

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

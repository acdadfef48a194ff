"""A finished completion as the chunks of a stream.

Shape: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

DONE = "data: [DONE]\n\n"
PIECE = re.compile(r".{1,80}", re.DOTALL)
"""Of text, in one chunk."""


def data(body: Mapping[str, Any]) -> str:
    """One event on the wire."""
    return f"data: {json.dumps(body)}\n\n"


def chunks(completion: Mapping[str, Any], *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks of a completion; with usage, a last one that has no choices."""
    head = {name: value for name, value in completion.items() if name not in {"choices", "usage"}}
    head |= {"object": "chat.completion.chunk"} | ({"usage": None} if include_usage else {})
    for choice in completion["choices"]:
        for part in _parts(choice):
            yield head | {"choices": [part]}
    if include_usage:
        yield head | {"choices": [], "usage": completion.get("usage")}


def _parts(choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A choice bit by bit: its role, its text, its tool calls, its end."""
    message, index = choice["message"], choice.get("index", 0)
    rest = {name: value for name, value in message.items() if name not in {"content", "tool_calls"}}
    yield _part(index, {"role": "assistant", **rest, "content": "" if message.get("content") else None})
    for piece, logprobs in _pieces(message.get("content") or "", choice.get("logprobs")):
        yield _part(index, {"content": piece}, logprobs)
    for position, call in enumerate(message.get("tool_calls") or []):
        yield _part(index, {"tool_calls": [{"index": position, **call}]})
    said = {name: value for name, value in choice.items() if name not in {"message", "index", "logprobs"}}
    yield _part(index, {}) | said


def _pieces(text: str, logprobs: Any) -> Iterator[tuple[str, Any]]:
    """The text in pieces; whole where log probabilities belong to it."""
    if logprobs:
        yield text, logprobs
        return
    for piece in PIECE.findall(text):
        yield piece, None


def _part(index: int, delta: dict[str, Any], logprobs: Any = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}

"""Bodies of successful replies: one completion, or the chunks of a stream."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.analyst.answering import Answer
from local.analyst.request import MODEL

PIECE = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Reply:
    """An answer with the id and the time (whole seconds since 1970) it is given under."""

    id: str
    created: int
    answer: Answer

    def completion(self) -> dict[str, Any]:
        """Give the body of a reply in one piece."""
        message: dict[str, Any] = {"role": "assistant", "content": self.answer.text, "refusal": None}
        if self.answer.calls:
            message |= {"content": None, "tool_calls": self._tool_calls()}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self.answer.finish_reason,
        }
        return self._head("chat.completion") | {"choices": [choice], "usage": usage(self.answer)}

    def chunks(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """Give the events of a stream; with usage, a last one that has no choices."""
        yield self._chunk({"role": "assistant", "content": None if self.answer.calls else ""})
        for index, call in enumerate(self._tool_calls()):
            yield self._chunk({"tool_calls": [{"index": index, **call}]})
        for piece in PIECE.findall(self.answer.text):
            yield self._chunk({"content": piece})
        yield self._chunk({}, self.answer.finish_reason)
        if include_usage:
            yield self._head("chat.completion.chunk") | {"choices": [], "usage": usage(self.answer)}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def _tool_calls(self) -> list[dict[str, Any]]:
        calls = []
        for place, (name, arguments) in enumerate(self.answer.calls):
            call_id = f"call_{place}_{self.id.removeprefix('chatcmpl-')}"
            function = {"name": name, "arguments": arguments}
            calls.append({"id": call_id, "type": "function", "function": function})
        return calls

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": MODEL,
            "system_fingerprint": None,
        }


def usage(answer: Answer) -> dict[str, Any]:
    """Give the usage block."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "image_tokens": answer.image_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }

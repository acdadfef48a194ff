"""Turns a request into an answer: measure, then words, JSON or a tool call."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from local.analyst.errors import invalid
from local.analyst.fill import UnfillableError, fill
from local.analyst.findings import as_json, findings
from local.analyst.measure import Measurement, measure
from local.analyst.request import ChatRequest, parse
from local.analyst.tokens import MESSAGE_FRAME, REPLY_FRAME, cut, image_tokens, text_tokens
from local.analyst.wording import answer, caveat, language_of


@dataclass(frozen=True)
class Answer:
    """The answer's text, or the tools that it calls with their arguments; why it ends, and its tokens."""

    text: str
    calls: tuple[tuple[str, str], ...]
    finish_reason: str
    prompt_tokens: int
    image_tokens: int
    completion_tokens: int

    def emptied(self) -> "Answer":
        """Give the same answer with nothing in it, as some endpoints return now and then."""
        return replace(self, text="", calls=(), finish_reason="stop", completion_tokens=0)

    def repeated(self, times: int) -> "Answer":
        """Give the same answer with its text said so many times."""
        if times == 1 or not self.text:
            return self
        text = " ".join([self.text] * times)
        return replace(self, text=text, completion_tokens=self.completion_tokens * times)


@dataclass(frozen=True)
class Work:
    """A request that was read, what was measured of its images, and the answer."""

    request: ChatRequest
    measured: tuple[Measurement, ...]
    answer: Answer


def work_on(body: bytes) -> Work:
    """Read a request, measure its images and answer it; raises ApiError. Uses only the CPU."""
    request = parse(body)
    measured = tuple(measure(picture.data) for picture in request.pictures)
    return Work(request, measured, _answer(request, measured))


def _texts(request: ChatRequest, measured: tuple[Measurement, ...]) -> list[str]:
    """The answer's one text, or the arguments of each call."""
    language = language_of(request.question)
    words = answer(request.question, measured)
    if request.tools:
        facts = findings(measured, words, language)
        return [_filled(tool.parameters, facts, "tools") for tool in request.tools]
    if request.wants_json:
        return [_dump({"images": as_json(measured), "note": caveat(language)})]
    if request.schema is None:
        return [words]
    return [_filled(request.schema, findings(measured, words, language), "response_format")]


def _filled(schema: Any, facts: Any, param: str) -> str:
    try:
        return _dump(fill(schema, facts))
    except UnfillableError as error:
        raise invalid(
            f"The schema cannot be filled by measuring: {error}.", param, "invalid_json_schema"
        ) from error


def _answer(request: ChatRequest, measured: tuple[Measurement, ...]) -> Answer:
    pictures = zip(request.pictures, measured, strict=True)
    images = sum(image_tokens(one.width, one.height, picture.detail) for picture, one in pictures)
    frame = MESSAGE_FRAME * len(request.messages) + REPLY_FRAME
    texts = _texts(request, measured[len(measured) - request.asked_pictures :])
    whole = sum(map(text_tokens, texts))
    limit = whole if request.max_tokens is None else min(whole, request.max_tokens)
    said = list(_cut(texts, limit))
    ended = "tool_calls" if request.tools else "stop"
    return Answer(
        text="" if request.tools else said[0],
        calls=tuple(zip((tool.name for tool in request.tools), said, strict=False)),
        finish_reason="length" if limit < whole else ended,
        prompt_tokens=text_tokens(request.text) + frame + images,
        image_tokens=images,
        completion_tokens=limit,
    )


def _cut(texts: list[str], tokens: int) -> Iterator[str]:
    """Keep the texts as far as the tokens go."""
    for text in texts:
        yield cut(text, tokens)
        tokens -= text_tokens(text)
        if tokens <= 0:
            return


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

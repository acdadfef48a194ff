"""Turns a request into an answer: measure, then words, JSON or a tool call."""

import json
from dataclasses import dataclass, replace

from local.analyst.errors import invalid
from local.analyst.fill import UnfillableError, fill
from local.analyst.findings import as_json, findings
from local.analyst.measure import Measurement, measure
from local.analyst.request import ChatRequest, parse
from local.analyst.tokens import MESSAGE_FRAME, REPLY_FRAME, cut, image_tokens, text_tokens
from local.analyst.wording import answer, caveat, language_of


@dataclass(frozen=True)
class Answer:
    """The answer's text (a tool's arguments where `tool` is set), why it ends, and its tokens."""

    text: str
    tool: str | None
    finish_reason: str
    prompt_tokens: int
    image_tokens: int
    completion_tokens: int

    def emptied(self) -> "Answer":
        """Give the same answer with nothing in it, as some endpoints return now and then."""
        return replace(self, text="", tool=None, finish_reason="stop", completion_tokens=0)


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
    text = _text(request, measured[len(measured) - request.asked_pictures :])
    return Work(request, measured, _answer(request, measured, text))


def _text(request: ChatRequest, measured: tuple[Measurement, ...]) -> str:
    language = language_of(request.question)
    words = answer(request.question, measured)
    if request.wants_json:
        return _dump({"images": as_json(measured), "note": caveat(language)})
    if request.schema is None:
        return words
    try:
        return _dump(fill(request.schema, findings(measured, words, language)))
    except UnfillableError as error:
        param = "tools" if request.tool else "response_format"
        raise invalid(
            f"The schema cannot be filled by measuring: {error}.", param, "invalid_json_schema"
        ) from error


def _answer(request: ChatRequest, measured: tuple[Measurement, ...], text: str) -> Answer:
    pictures = zip(request.pictures, measured, strict=True)
    images = sum(image_tokens(one.width, one.height, picture.detail) for picture, one in pictures)
    frame = MESSAGE_FRAME * len(request.messages) + REPLY_FRAME
    whole = text_tokens(text)
    limit = whole if request.max_tokens is None else min(whole, request.max_tokens)
    ended = "tool_calls" if request.tool else "stop"
    return Answer(
        text=cut(text, limit),
        tool=request.tool,
        finish_reason="length" if limit < whole else ended,
        prompt_tokens=text_tokens(request.text) + frame + images,
        image_tokens=images,
        completion_tokens=limit,
    )


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

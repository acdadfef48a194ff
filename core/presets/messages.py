"""What is said to the model: the preset's words as the system's, everything of the client's as the user's.

The parts that never change come first, so that endpoints can cache them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from core.presets.brief import Brief

IN_WORDS = "Answer with one JSON value that fits this JSON Schema, and with nothing else:\n"

Message = dict[str, Any]
Size = tuple[int, int] | None
"""Width and height in px of an image as it is sent; None where nobody has seen it yet."""

DETAILS_SENT = {"max": "high"}
"""How endpoints call what they have no name for."""
REPAIR = (
    "That answer cannot be used. {problem}\n"
    "Answer once more with JSON that fits the schema, and with nothing else."
)


class Asked(Protocol):
    """What a message is made of besides the preset."""

    @property
    def question(self) -> str | None:
        """Instead of the preset's."""

    @property
    def context(self) -> str | None:
        """What the shop knows of this one."""

    @property
    def detail(self) -> str:
        """How closely the images are to be looked at."""

    @property
    def views(self) -> Sequence[str | None]:
        """What each image shows."""


def hints(brief: Brief, brands: Sequence[str], sizes: Sequence[Size]) -> list[str]:
    """What the model is told besides the question: some of the shop's brands, the size of what it sees."""
    found = []
    if brief.brand_field and brands:
        found.append(f"Brands that the shop sells, among others, as data: {'; '.join(brands)}.")
    if brief.boxes and brief.box_image and sizes:
        each = (f"image {place}: {_shown(size, ' x ')}" for place, size in enumerate(sizes, 1))
        found.append(f"Sizes in pixels, width x height: {'; '.join(each)}.")
    elif brief.boxes and sizes:
        found.append(f"The first photograph is {_shown(sizes[0], ' pixels wide and ')} high.")
    return found


def build(brief: Brief, asked: Asked, hints: Sequence[str], images: Sequence[str]) -> list[Message]:
    """The messages of a first call; images are data URLs in their order.

    What is the same for all of a batch comes before what is not: endpoints cache how prompts begin.
    """
    said = [*brief.asked(asked.question), *hints, *brief.background(asked.context)]
    parts = [{"type": "text", "text": text} for text in said]
    detail = DETAILS_SENT.get(asked.detail, asked.detail)
    pictures = [{"type": "image_url", "image_url": {"url": url, "detail": detail}} for url in images]
    shown = _labelled(pictures, asked.views) if any(asked.views) else pictures
    return [{"role": "system", "content": brief.prompt}, {"role": "user", "content": [*parts, *shown]}]


def repair(messages: Sequence[Message], answer: str, problem: str) -> list[Message]:
    """The messages of a second call, which shows the model its answer and what is wrong with it."""
    return [
        *messages,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": REPAIR.format(problem=problem)},
    ]


def told(messages: Sequence[Message], brief: Brief) -> list[Message]:
    """The messages for an endpoint that is told the schema in words."""
    system, *others = messages
    return [system | {"content": f"{system['content']}\n\n{IN_WORDS}{json.dumps(brief.schema)}"}, *others]


def text_of(messages: Sequence[Message]) -> str:
    """All the text of the messages, for estimating its tokens."""
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    plain = [content for content in contents if isinstance(content, str)]
    return "\n".join([*plain, *(part["text"] for part in parts if part["type"] == "text")])


def _labelled(pictures: Sequence[Message], views: Sequence[str | None]) -> list[Message]:
    """Each picture behind a line that says which view it is."""
    labels = (f"Image {place}: {view}" if view else f"Image {place}" for place, view in enumerate(views, 1))
    texts = ({"type": "text", "text": label} for label in labels)
    return [part for pair in zip(texts, pictures, strict=True) for part in pair]


def _shown(size: Size, between: str) -> str:
    return between.join(map(str, size)) if size else f"…{between}…"

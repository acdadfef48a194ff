"""What of a session's history goes along with a turn: as much of its newer end as two limits allow.

A tool's answers are worth nothing without the call that they answer, so both go or stay together. Where it
can, a history begins with something that the user said.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from typing import Any

from core.models import Analysis
from core.pricing import PriceTable, text_tokens
from core.services import tool_calls
from core.services.chat import REFERENCE
from core.store import messages
from core.store.messages import Spoken

USER, TOOL, ASSISTANT = "user", "tool", messages.ASSISTANT
FRAME_TOKENS = 4
"""For what stands around each message."""


class Again(StrEnum):
    """Which of the images that were shown before are shown again with each turn."""

    KEEP = "keep"
    """All that go along, the newest first, as many as one request may have."""
    LAST = "last"
    """Those of the newest message with images."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Shown:
    """An image that was shown before, as it can be shown again."""

    file_id: str
    detail: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the history."""

    role: str
    text: str | None
    tool_call_id: str | None = None
    calls: Sequence[dict[str, Any]] = ()
    images: Sequence[Shown] = ()
    left_out: int = 0
    """Images that it had and that are not shown again."""

    @property
    def tokens(self) -> int:
        """About as many as it takes."""
        images = sum(image.tokens for image in self.images)
        return FRAME_TOKENS + text_tokens(self.text or "") + text_tokens(_called(self.calls)) + images

    def body(self, first_image: int) -> dict[str, Any]:
        """The message as a chat has it; its images are those from a position on."""
        message: dict[str, Any] = {"role": self.role, "content": self._content(first_image)}
        if self.calls:
            message["tool_calls"] = list(self.calls)
        if self.role == TOOL:
            message["tool_call_id"] = self.tool_call_id
        return message

    def _content(self, first_image: int) -> Any:
        text = self.text
        if self.left_out:
            text = f"{text}\n[Images shown here: {self.left_out}; they are not shown again.]"
        if not self.images:
            return None if self.calls and not text else text
        shown = enumerate(self.images, first_image)
        return [{"type": "text", "text": text}, *(image_part(place, each.detail) for place, each in shown)]


def image_part(position: int, detail: str) -> dict[str, Any]:
    """The part of a message that stands for an image, by its position among all of them."""
    return {"type": "image_url", "image_url": {"url": f"{REFERENCE}{position}", "detail": detail}}


def read(rows: Sequence[Spoken], prices: PriceTable) -> list[Said]:
    """The history as it was said."""
    return [_said(row, prices) for row in rows]


def open_calls(history: Sequence[Said]) -> set[str]:
    """The ids of the calls that the history ends with."""
    return {call["id"] for call in history[-1].calls} if history else set()


def with_images(history: Sequence[Said], again: Again, most: int, files: Collection[str]) -> list[Said]:
    """The history with the images that are shown again, at most so many, of files that are still there."""
    chosen, left = list(history), 0 if again == Again.NONE else most
    for place in reversed(range(len(history))):
        said = history[place]
        images = [image for image in said.images if image.file_id in files]
        kept = images if len(images) <= left else []
        chosen[place] = replace(said, images=kept, left_out=len(said.images) - len(kept))
        left = 0 if kept and again == Again.LAST else left - len(kept)
    return chosen


def cut(history: Sequence[Said], most: int, tokens: int) -> Sequence[Said]:
    """The newer end of the history: at most so many messages, and about so many tokens.

    Calls that wait for their answers stay, however much they take.
    """
    newest_first = accumulate(said.tokens for said in reversed(history[-most:]))
    fits = len(history) - sum(1 for together in newest_first if together <= tokens)
    if open_calls(history):
        fits = min(fits, len(history) - 1)
    begins = [place for place in range(fits, len(history)) if history[place].role != TOOL]
    by_user = [place for place in begins if history[place].role == USER]
    return history[next(iter(by_user or begins), len(history)) :]


def _said(row: Spoken, prices: PriceTable) -> Said:
    message, analysis = row.message, row.analysis
    if message.role == ASSISTANT:
        return Said(ASSISTANT, analysis.answer, calls=tool_calls.of(row))
    images = [
        Shown(image.file_id, analysis.detail, _image_tokens(image.report, prices, analysis))
        for image in row.images
        if image.file_id is not None
    ]
    return Said(message.role, message.content, message.tool_call_id, images=images)


def _image_tokens(report: dict[str, Any] | None, prices: PriceTable, analysis: Analysis) -> int:
    sent = (report or {}).get("sent") or {}
    size = sent.get("width", 1), sent.get("height", 1)
    return prices.image_tokens(analysis.model, [size], analysis.detail)


def _called(calls: Sequence[dict[str, Any]]) -> str:
    return json.dumps(calls) if calls else ""

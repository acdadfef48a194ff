"""The paid calls that one analysis may take, each at its worst."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.desk import Desk
from core.presets.messages import REPAIR, Message, text_of
from core.pricing import WorstCase

LONGEST_PROBLEM = 1_200
"""Bytes of what is wrong with an answer, as the model is told it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A question, as it is sent the first time."""

    messages: list[Message]
    response_format: dict[str, Any] | None
    """What the endpoint is held to."""
    has_form: bool
    """Whether its answer is held against a schema."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that may have to be made."""

    purpose: str
    """answer, or step 1 and so on; stronger; repair."""
    model: str
    worst: WorstCase


class Plan:
    """The calls that steps may take of a model, or two; images of these sizes go with each."""

    def __init__(
        self, desk: Desk, model: str, stronger: str | None, sizes: Sequence[tuple[int, int]], max_tokens: int
    ) -> None:
        self._prices = desk.prices
        self._model = model
        self._stronger = stronger
        self._sizes = sizes
        self._max_tokens = max_tokens

    def calls(self, steps: Sequence[Step]) -> Iterator[PlannedCall]:
        """All of them: the stronger model is asked too, and an answer in a form needs to be repaired."""
        for place, step in enumerate(steps, 1):
            text = text_of(step.messages) + json.dumps(step.response_format or "")
            yield self._call("answer" if len(steps) == 1 else f"step {place}", self._model, text)
            if self._stronger is not None:
                yield self._call("stronger", self._stronger, text)
            if step.has_form:
                shown = " " * (LONGEST_PROBLEM + self._max_tokens)  # the answer: a byte counts as a token
                yield self._call("repair", self._stronger or self._model, text + shown + REPAIR)

    def _call(self, purpose: str, model: str, text: str) -> PlannedCall:
        return PlannedCall(
            purpose, model, self._prices.worst_case(model, text, self._sizes, self._max_tokens)
        )


def together(calls: Sequence[PlannedCall]) -> WorstCase:
    """What all of them can take; no cost where a model has no price."""
    costs = [call.worst.cost for call in calls]
    known = [cost for cost in costs if cost is not None]
    total = sum(known, Decimal()) if len(known) == len(costs) else None
    return WorstCase(sum(call.worst.tokens for call in calls), total)

"""What comes of a report on photographs: an answer by itself, or leave to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import quality
from core.errors import QualityInsufficient
from core.services.outcomes import Answer

LONGEST = 1_000


def answer(report: Mapping[str, Any]) -> Answer:
    """The answer that a report is."""
    return Answer(answer=quality.summary(report), data=dict(report), confidence=None, finish_reason=None)


def demand(report: Mapping[str, Any]) -> None:
    """Raises QualityInsufficient, which holds the report, unless everything passed."""
    if not report["passed"]:
        message = f"Nothing was asked: {quality.summary(report)}"
        raise QualityInsufficient(message[:LONGEST], details={"data": dict(report)})

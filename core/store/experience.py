"""What an account's latest answers took: what the next are likely to take."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, func, select, tuple_
from sqlalchemy.orm import Session

from core.models import Analysis
from core.states import AnalysisState

LATEST = 1_000
"""Analyses that are looked at."""


class Kin(NamedTuple):
    """What answers have in common that are of one sort, whatever was asked."""

    preset: str
    model: str
    has_form: bool
    """Whether their submission gave them a form of its own."""


class Asked(NamedTuple):
    """What answers have in common that are likely to be as long: all but images and context."""

    preset: str
    version: int
    model: str
    question: bytes | None
    """SHA-256."""
    options: str
    """JSON, in order."""
    form: bytes | None
    """SHA-256 of the form that their submission gave them."""

    @classmethod
    def of(cls, asked: Any) -> Asked:
        """What an analysis or an item asks."""
        form = asked.response_format
        return cls(
            asked.preset.name,
            asked.preset.version,
            asked.model,
            None if asked.question is None else _digest(asked.question),
            _as_text(asked.preset_options),
            None if form is None else _digest(json.dumps(form)),
        )

    @property
    def kin(self) -> Kin:
        """Of what sort its answer is."""
        return Kin(self.preset, self.model, self.form is not None)


class Taken(NamedTuple):
    """What such answers took, on average."""

    answers: int
    completion_tokens: float
    seconds: float
    """From the first try to the end: half of them were faster."""


@dataclass(frozen=True, slots=True)
class Experience:
    """What was taken by answers to the very same question, and by all of its sort."""

    same: Mapping[Asked, Taken]
    alike: Mapping[Kin, Taken]


def taken(session: Session, account_id: str, asked: Collection[Kin]) -> Experience:
    """What the account's latest answers of these sorts took, as far as there are any."""
    same: dict[Asked, Taken] = {}
    alike: dict[Kin, list[Taken]] = defaultdict(list)
    for row in session.execute(_latest(account_id, asked)):
        preset, version, model, asked_for, options, form, count, tokens, seconds = row
        found = Taken(count, float(tokens), float(seconds or 0))
        question = Asked(preset, version, model, asked_for, _as_text(options), form)
        same[question] = found
        alike[question.kin].append(found)
    return Experience(same, {kin: _mean(found) for kin, found in alike.items()})


def _latest(account_id: str, asked: Collection[Kin]) -> Any:
    """Groups of the latest answers; what was given again took nothing, and tells nothing."""
    latest = (
        select(
            Analysis.preset,
            Analysis.preset_version,
            Analysis.model,
            _sha256(Analysis.question).label("question"),
            Analysis.preset_options,
            _sha256(cast(Analysis.response_format, Text)).label("form"),
            Analysis.completion_tokens,
            func.extract("epoch", Analysis.finished_at - Analysis.started_at).label("seconds"),
        )
        .where(
            Analysis.account_id == account_id,
            Analysis.state == AnalysisState.COMPLETED,
            Analysis.cached_from.is_(None),
        )
        .order_by(Analysis.id.desc())
        .limit(LATEST)
        .subquery()
    )
    question = [latest.c[name] for name in latest.c.keys()[:6]]
    sort = tuple_(latest.c.preset, latest.c.model, latest.c.form.is_not(None))
    middle = func.percentile_cont(0.5).within_group(latest.c.seconds)
    return (
        select(*question, func.count(), func.avg(latest.c.completion_tokens), middle)
        .where(latest.c.completion_tokens.is_not(None), sort.in_(list(asked)))
        .group_by(*question)
    )


def _mean(found: Sequence[Taken]) -> Taken:
    total = sum(each.answers for each in found)
    tokens = sum(each.answers * each.completion_tokens for each in found)
    seconds = sum(each.answers * each.seconds for each in found)
    return Taken(total, tokens / total, seconds / total)


def _sha256(text: Any) -> Any:
    return func.sha256(func.convert_to(text, "UTF8"))


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _as_text(options: Mapping[str, Any] | None) -> str:
    return json.dumps(options or None, sort_keys=True)

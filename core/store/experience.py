"""What an account's latest answers took: what the next are likely to take."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import CTE, Integer, ScalarSelect, Select, Text, case, cast, func, select, tuple_
from sqlalchemy.orm import Session

from core.models import Analysis, AnalysisImage, Call
from core.states import AnalysisState, CallState

LATEST = 1_000
"""Analyses that are looked at."""
QUESTION = ("preset", "preset_version", "model", "stronger", "question", "preset_options", "form", "images")
_STEPS = Analysis.data.op("->>")("steps")
"""As core.presets.answer_fields calls it; an account's own preset may call anything so."""


class Kin(NamedTuple):
    """What answers have in common that are of one sort, whatever was asked."""

    preset: str
    model: str
    stronger: str
    """The second of a cascade; empty where there is none."""
    has_form: bool
    """Whether their submission gave them a form of its own."""


class Asked(NamedTuple):
    """What answers have in common that are likely to be as long: all but images and context.

    How many images they are about counts too, and is told beside it.
    """

    preset: str
    version: int
    model: str
    stronger: str
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
            asked.stronger_model or "",
            None if asked.question is None else _digest(asked.question),
            _as_text(asked.preset_options),
            None if form is None else _digest(json.dumps(form)),
        )

    @property
    def kin(self) -> Kin:
        """Of what sort its answer is."""
        return Kin(self.preset, self.model, self.stronger, self.form is not None)


class Taken(NamedTuple):
    """What such answers took, on average of each."""

    answers: int
    """How many there are."""
    seconds: float
    """From the first try to the end: half of them were faster."""
    steps: float
    """Down a tree; 1 where there is none."""
    calls: float
    """Of the model that is asked, or asked first, that were answered."""
    tokens: float
    """Of the answers in all of these calls."""
    escalated: float = 0
    """The share of which the stronger model was asked too."""
    stronger_calls: float = 0
    stronger_tokens: float = 0


class Known(NamedTuple):
    """The answers that stand for those to come."""

    taken: Taken
    images: int
    """That each of them is about."""
    is_same: bool
    """Whether they answer the very same question, and not only one of its sort."""


@dataclass(frozen=True, slots=True)
class Experience:
    """What was taken by answers to the very same question, and by all of its sort.

    Each by how many images they were about.
    """

    same: Mapping[Asked, Mapping[int, Taken]]
    alike: Mapping[Kin, Mapping[int, Taken]]

    def of(self, asked: Asked, images: int) -> Known | None:
        """Answers to a question, or else of its sort, about so many images or the next number to it."""
        same = self.same.get(asked)
        found = same or self.alike.get(asked.kin)
        if not found:
            return None
        nearest = min(found, key=lambda count: abs(count - images))
        return Known(found[nearest], nearest, same is not None)


def taken(session: Session, account_id: str, asked: Collection[Kin]) -> Experience:
    """What the account's latest answers of these sorts took, as far as there are any."""
    same: dict[Asked, dict[int, Taken]] = defaultdict(dict)
    alike: dict[Kin, dict[int, list[Taken]]] = defaultdict(lambda: defaultdict(list))
    for row in session.execute(_grouped(_latest(account_id), asked)):
        preset, version, model, stronger, asked_for, options, form, images, count, *means = row
        question = Asked(preset, version, model, stronger, asked_for, _as_text(options), form)
        found = same[question][images] = Taken(count, *(float(value or 0) for value in means))
        alike[question.kin][images].append(found)
    means_of = {kin: {images: _mean(each) for images, each in by.items()} for kin, by in alike.items()}
    return Experience(dict(same), means_of)


def _latest(account_id: str) -> CTE:
    """The latest answers; what was given again took nothing, and tells nothing."""
    return (
        select(
            Analysis.id,
            Analysis.preset,
            Analysis.preset_version,
            func.coalesce(Analysis.first_model, Analysis.model).label("model"),
            func.coalesce(Analysis.stronger_model, "").label("stronger"),
            _sha256(Analysis.question).label("question"),
            Analysis.preset_options,
            _images().label("images"),
            _sha256(cast(Analysis.response_format, Text)).label("form"),
            Analysis.completion_tokens,
            func.extract("epoch", Analysis.finished_at - Analysis.started_at).label("seconds"),
            case((Analysis.first_model.is_not(None), 1), else_=0).label("escalated"),
            case((_STEPS.op("~")("^[1-9][0-9]{0,2}$"), cast(_STEPS, Integer)), else_=1).label("steps"),
        )
        .where(
            Analysis.account_id == account_id,
            Analysis.state == AnalysisState.COMPLETED,
            Analysis.cached_from.is_(None),
            Analysis.body.is_(None),
        )
        .order_by(Analysis.id.desc())
        .limit(LATEST)
        .cte("latest")
    )


def _images() -> ScalarSelect[int]:
    """How many images an analysis is about."""
    rows = select(func.count()).select_from(AnalysisImage).where(AnalysisImage.analysis_id == Analysis.id)
    return rows.scalar_subquery()


def _grouped(latest: CTE, asked: Collection[Kin]) -> Select[Any]:
    """What each question of these sorts took: how it was asked, how many times, and the means of the rest."""
    calls = _calls(latest)
    question = [latest.c[name] for name in QUESTION]
    sort = tuple_(latest.c.preset, latest.c.model, latest.c.stronger, latest.c.form.is_not(None))
    stronger_tokens = func.coalesce(calls.c.stronger_tokens, 0)
    return (
        select(
            *question,
            func.count(),
            func.percentile_cont(0.5).within_group(latest.c.seconds),
            func.avg(latest.c.steps),
            func.avg(func.greatest(calls.c.calls, 1)),
            func.avg(latest.c.completion_tokens - stronger_tokens),
            func.avg(latest.c.escalated),
            func.avg(func.coalesce(calls.c.stronger_calls, 0)),
            func.avg(stronger_tokens),
        )
        .outerjoin_from(latest, calls, calls.c.analysis_id == latest.c.id)
        .where(latest.c.completion_tokens.is_not(None), sort.in_(list(asked)))
        .group_by(*question)
    )


def _calls(latest: CTE) -> CTE:
    """The calls that these answers took, by whether the stronger model of a cascade was asked."""
    is_first = Call.model == latest.c.model
    return (
        select(
            Call.analysis_id,
            func.count().filter(is_first).label("calls"),
            func.count().filter(~is_first).label("stronger_calls"),
            func.sum(Call.completion_tokens).filter(~is_first).label("stronger_tokens"),
        )
        .join(latest, latest.c.id == Call.analysis_id)
        .where(Call.state == CallState.SETTLED)
        .group_by(Call.analysis_id)
        .cte("made")
    )


def _mean(found: Sequence[Taken]) -> Taken:
    total = sum(each.answers for each in found)
    means = (
        sum(each.answers * each[place] for each in found) / total for place in range(1, len(Taken._fields))
    )
    return Taken(total, *means)


def _sha256(text: Any) -> Any:
    return func.sha256(func.convert_to(text, "UTF8"))


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _as_text(options: Mapping[str, Any] | None) -> str:
    return json.dumps(options or None, sort_keys=True)

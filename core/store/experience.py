"""What an account's latest answers took: what the next are likely to take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from core.models import Analysis
from core.states import AnalysisState

LATEST = 1_000
"""Analyses that are looked at."""


class Asked(NamedTuple):
    """What answers have in common that are likely to be as long."""

    preset: str
    model: str
    has_form: bool
    """Whether their submission gave them a form of its own."""


class Taken(NamedTuple):
    """What such answers took, on average."""

    answers: int
    completion_tokens: float
    seconds: float
    """From the first try to the end: half of them were faster."""


def taken(session: Session, account_id: str, asked: Iterable[Asked]) -> dict[Asked, Taken]:
    """What the latest answers of each sort took; those that the account has none of are left out."""
    has_form = Analysis.response_format.is_not(None).label("has_form")
    latest = (
        select(
            Analysis.preset,
            Analysis.model,
            has_form,
            Analysis.completion_tokens,
            func.extract("epoch", Analysis.finished_at - Analysis.started_at).label("seconds"),
        )
        .where(Analysis.account_id == account_id, Analysis.state == AnalysisState.COMPLETED)
        .order_by(Analysis.id.desc())
        .limit(LATEST)
        .subquery()
    )
    sort = (latest.c.preset, latest.c.model, latest.c.has_form)
    middle = func.percentile_cont(0.5).within_group(latest.c.seconds)
    query = (
        select(*sort, func.count(), func.avg(latest.c.completion_tokens), middle)
        .where(latest.c.completion_tokens.is_not(None), tuple_(*sort).in_(list(asked)))
        .group_by(*sort)
    )
    return {
        Asked(preset, model, form): Taken(count, float(tokens), float(seconds or 0))
        for preset, model, form, count, tokens, seconds in session.execute(query)
    }

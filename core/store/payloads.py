"""What events tell, as JSON that Postgres makes: of an analysis or a batch as it stands just then."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, and_, case, cast, func, literal_column, select

from core.models import Analysis, Batch
from core.states import FINAL, AnalysisState

ANSWER_BYTES = 65_536
"""An answer that is longer is fetched by who wants it."""


def said(text: str) -> ColumnElement[str]:
    """A text that stands in the statement itself."""
    return literal_column(f"'{text}'", Text)


def of_analysis() -> ColumnElement[Any]:
    """An analysis; with its answer, where it is one by itself and the answer small."""
    error = _object(code=Analysis.error_code, message=Analysis.error_message)
    return _object(
        id=Analysis.id,
        object=said("analysis"),
        status=Analysis.state,
        reason=Analysis.reason,
        batch_id=Analysis.batch_id,
        custom_id=Analysis.custom_id,
        metadata=Analysis.meta,
        result=_result(),
        error=case((Analysis.error_code.is_not(None), error)),
        total_tokens=func.coalesce(Analysis.prompt_tokens + Analysis.completion_tokens, 0),
        total_cost=Analysis.prompt_cost + Analysis.completion_cost,
        cached=Analysis.cached_from.is_not(None),
        cached_from=Analysis.cached_from,
        created_at=Analysis.created_at,
        completed_at=Analysis.finished_at,
        url=said("/api/v1/analyses/") + Analysis.id,
    )


def of_batch() -> tuple[ColumnElement[Any], FromClause]:
    """A batch, and the counts of its items, which are to be joined."""
    counts = _counts()
    done: Any = sum((counts.c[str(state)] for state in FINAL), start=literal_column("0"))
    share = done * literal_column("1.0") / func.nullif(Batch.total, literal_column("0"))
    payload = _object(
        id=Batch.id,
        object=said("batch"),
        status=Batch.state,
        reason=Batch.reason,
        counts=_object(total=Batch.total, **counts.c, pending=Batch.total - done),
        progress=func.coalesce(func.round(share, literal_column("4")), literal_column("1.0")),
        metadata=Batch.meta,
        created_at=Batch.created_at,
        completed_at=Batch.finished_at,
        url=said("/api/v1/batches/") + Batch.id,
        results_url=said("/api/v1/batches/") + Batch.id + said("/results"),
    )
    return payload, counts


def _result() -> ColumnElement[Any]:
    sizes = (func.octet_length(text) for text in (Analysis.answer, cast(Analysis.data, Text)))
    size: Any = sum((func.coalesce(length, 0) for length in sizes), start=literal_column("0"))
    result = _object(
        answer=Analysis.answer,
        data=Analysis.data,
        confidence=Analysis.confidence,
        finish_reason=Analysis.finish_reason,
    )
    answered = Analysis.state == AnalysisState.COMPLETED
    return case((and_(Analysis.batch_id.is_(None), answered, size < ANSWER_BYTES), result))


def _counts() -> FromClause:
    by_state = (
        func.count().filter(Analysis.state == state).label(str(state))
        for state in AnalysisState
        if state in FINAL
    )
    return select(*by_state).where(Analysis.batch_id == Batch.id).lateral("counts")


def _object(**members: Any) -> ColumnElement[Any]:
    """A JSON object whose members keep their order."""
    pairs: list[Any] = []
    for name, value in members.items():
        pairs += [said(name), value]
    return func.json_build_object(*pairs)

"""Conversations as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import from_code
from core.models import Analysis, ChatSession
from core.services import tool_calls
from core.services.context import ASSISTANT
from core.services.turns import Spoken
from core.states import AnalysisState
from webapp import present


def session(row: ChatSession, timeout: timedelta) -> dict[str, Any]:
    """A session, in the shape of SessionView."""
    return {
        "id": row.id,
        "object": "session",
        "system": row.system,
        "images": row.images,
        "metadata": row.meta,
        "message_count": row.last_sequence,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "expires_at": row.last_used_at + timeout,
    }


def message(spoken: Spoken) -> dict[str, Any]:
    """A message, in the shape of MessageView."""
    row, analysis = spoken.message, spoken.analysis
    told = {
        "id": row.id,
        "object": "message",
        "session_id": row.session_id,
        "sequence": row.sequence,
        "role": row.role,
        "content": row.content,
        "tool_calls": None,
        "tool_call_id": row.tool_call_id,
        "data": None,
        "images": [present.image(each) for each in spoken.images],
        "analysis_id": row.analysis_id,
        "status": analysis.state,
        "error": _problem(analysis),
        **dict.fromkeys(("finish_reason", "model", "usage", "cost", "finished_at")),
        "created_at": row.created_at,
    }
    if row.role != ASSISTANT:
        return told
    return told | _said(analysis, spoken) | {"finished_at": analysis.finished_at}


def page(rows: Sequence[Spoken], *, more: bool) -> dict[str, Any]:
    """A page of messages; `next_cursor` is the place of its last one."""
    last = rows[-1].message.sequence if more else None
    return {"data": [message(row) for row in rows], "has_more": more, "next_cursor": last}


def answer(analysis: Analysis, spoken: Spoken | None) -> dict[str, Any]:
    """A whole answer, in the shape of ChatAnswer."""
    told = _said(analysis, spoken)
    return {**_where(analysis, spoken), "role": ASSISTANT, **told, **_when(analysis)}


def pending(analysis: Analysis, spoken: Spoken | None, location: str) -> dict[str, Any]:
    """An answer that is not there yet, in the shape of ChatPending."""
    about = {"status": analysis.state, "location": location, "timestamp": datetime.now(UTC)}
    return _where(analysis, spoken) | about


def _where(analysis: Analysis, spoken: Spoken | None) -> dict[str, Any]:
    return {
        "success": True,
        "session_id": spoken and spoken.message.session_id,
        "message_id": spoken and spoken.message.id,
        "analysis_id": analysis.id,
    }


def _said(analysis: Analysis, spoken: Spoken | None) -> dict[str, Any]:
    calls = tool_calls.of(spoken) if spoken else []
    return {
        "content": analysis.answer or (None if calls else analysis.answer),
        "tool_calls": calls or None,
        "data": analysis.data,
        "finish_reason": analysis.finish_reason,
        "model": analysis.model,
        "usage": present.usage(analysis),
        "cost": present.cost(analysis),
    }


def _problem(analysis: Analysis) -> dict[str, Any] | None:
    """Why a turn was not answered; messages have no place for a reason beside it."""
    if analysis.state != AnalysisState.CANCELLED:
        return present.problem(analysis)
    error = from_code(None, analysis.reason, {})
    return {"code": error.code, "message": error.message}


def _when(analysis: Analysis) -> dict[str, Any]:
    return {"processing_time": present.processing_time(analysis), "timestamp": datetime.now(UTC)}

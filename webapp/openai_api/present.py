"""Rows as clients of the OpenAI API see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.models import File
from core.services import batch_files, batches
from core.services.batch_files import BatchFile, Part
from core.services.batches import Standing
from core.states import BatchState

STATUSES = {BatchState.RUNNING: "in_progress", BatchState.PAUSED: "in_progress"}
"""What that API calls a state, where it is not what we call it. Input is validated before the first answer,
and nothing is left to finalize after the last item, so that nobody sees those two."""

MOMENTS = (
    "in_progress_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


def seconds(moment: datetime | None) -> int | None:
    """A time as that API has it: Unix seconds."""
    return None if moment is None else int(moment.timestamp())


def present_only(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is None: files have it so, batches say null."""
    return {name: value for name, value in values.items() if value is not None}


def page(shown: Sequence[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A page of a listing; `last_id` as `after` leads to the next one."""
    ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
    return {"object": "list", "data": shown, "has_more": more, **ends}


def file(row: File) -> dict[str, Any]:
    """A file, in the shape of FileObject."""
    return present_only(
        {
            "id": row.id,
            "object": "file",
            "bytes": row.byte_size,
            "created_at": seconds(row.created_at),
            "expires_at": seconds(row.expires_at),
            "filename": row.name,
            "purpose": row.purpose,
            "status": "processed",
        }
    )


def output(found: BatchFile, byte_size: int) -> dict[str, Any]:
    """A file of a batch, in the shape of FileObject."""
    return present_only(
        {
            "id": found.id,
            "object": "file",
            "bytes": byte_size,
            "created_at": seconds(found.created_at),
            "expires_at": seconds(found.expires_at),
            "filename": found.name,
            "purpose": "batch_output",
            "status": "processed",
        }
    )


def batch(standing: Standing) -> dict[str, Any]:
    """A batch, in the shape of BatchObject."""
    row, counts = standing.batch, batches.counts(standing)
    ended = counts["total"] - counts["pending"]
    return {
        "id": row.id,
        "object": "batch",
        "endpoint": row.endpoint,
        "errors": None if row.errors is None else {"object": "list", "data": row.errors},
        "input_file_id": row.input_file_id,
        "completion_window": "24h",
        "status": STATUSES.get(BatchState(row.state), row.state),
        "reason": row.reason,
        "created_at": seconds(row.created_at),
        "expires_at": seconds(row.deadline_at),
        "request_counts": {
            "total": counts["total"],
            "completed": counts["completed"],
            "failed": ended - counts["completed"],
        },
        "usage": _usage(standing.tally.taken),
        "metadata": row.meta,
        **_moments(standing),
        **_files(standing, completed=counts["completed"], ended=ended),
    }


def _moments(standing: Standing) -> dict[str, int | None]:
    """When it went from one status to the next; None where it did not."""
    row, state = standing.batch, standing.batch.state
    moments = dict.fromkeys(MOMENTS) | {
        f"{state}_at": row.finished_at,
        "in_progress_at": None if state == BatchState.FAILED else row.created_at,
        "cancelling_at": row.cancelling_at,
        "finalizing_at": row.finished_at if state == BatchState.COMPLETED else None,
    }
    return {name: seconds(moments[name]) for name in MOMENTS}


def _files(standing: Standing, *, completed: int, ended: int) -> dict[str, Any]:
    """The ids of its files that have something in them; while it runs, where nobody takes them for whole."""
    ids: dict[str, str | None] = {"output_file_id": None, "error_file_id": None}
    if completed:
        ids["output_file_id"] = batch_files.id_of(standing.batch, Part.OUTPUT)
    if ended > completed:
        ids["error_file_id"] = batch_files.id_of(standing.batch, Part.ERRORS)
    return ids if standing.batch.finished_at else {**dict.fromkeys(ids), "so_far": ids}


def _usage(taken: Mapping[str, Any]) -> dict[str, Any]:
    prompt, completion = taken.get("prompt_tokens") or 0, taken.get("completion_tokens") or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": taken.get("cached_tokens") or 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": taken.get("reasoning_tokens") or 0},
        "total_tokens": prompt + completion,
    }

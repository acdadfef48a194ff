"""Rows as clients of the OpenAI API see them; what is absent is left out, as its document wants it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.models import File


def seconds(moment: datetime | None) -> int | None:
    """A time as that API has it: Unix seconds."""
    return None if moment is None else int(moment.timestamp())


def present_only(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is None."""
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

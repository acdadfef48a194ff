"""Results of a batch as a whole: NDJSON or CSV, written row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response, stream_with_context

from core.models import Analysis
from webapp import present
from webapp.schemas.batches import ItemView
from webapp.sheets import sheet

CSV_COLUMNS = (
    "position",
    "custom_id",
    "id",
    "status",
    "answer",
    "data",
    "confidence",
    "error_code",
    "error",
    "total_tokens",
    "total_cost",
    "cached",
    "cached_from",
    "file_names",
    "sku",
    "views",
    "reused_from",
    "reused_distance",
    "model",
    "first_model",
    "first_cost",
    "escalation",
)


def whole(rows: Iterable[Analysis], form: str, batch_id: str) -> Response:
    """All rows as a file that streams: `ndjson` or `csv`."""
    if form == "csv":
        return sheet(CSV_COLUMNS, map(_csv_row, rows), batch_id)
    response = Response(stream_with_context(_ndjson(rows)), mimetype="application/x-ndjson")
    response.headers["Content-Disposition"] = f'attachment; filename="{batch_id}.ndjson"'
    return response


def _ndjson(rows: Iterable[Analysis]) -> Iterator[str]:
    schema = ItemView()
    for row in rows:
        yield json.dumps(schema.dump(present.item(row)), ensure_ascii=False) + "\n"


def _csv_row(row: Analysis) -> dict[str, Any]:
    return {
        "position": row.position,
        "custom_id": row.custom_id,
        "id": row.id,
        "status": row.state,
        "answer": row.answer,
        "data": None if row.data is None else json.dumps(row.data, ensure_ascii=False),
        "confidence": row.confidence,
        "error_code": row.error_code,
        "error": row.error_message,
        "total_tokens": present.usage(row)["total_tokens"],
        "total_cost": present.cost(row)["total_cost"],
        "cached": str(row.cached_from is not None).lower(),
        "cached_from": row.cached_from,
        "file_names": "; ".join(image.file.name if image.file else image.url or "" for image in row.images),
        "sku": row.sku,
        "views": "; ".join(image.view or "" for image in row.images) if row.sku else None,
        "reused_from": None if row.reused_distance is None else row.cached_from,
        "reused_distance": row.reused_distance,
        "model": row.model,
        "first_model": row.first_model,
        "first_cost": row.first_cost,
        "escalation": row.escalation,
    }

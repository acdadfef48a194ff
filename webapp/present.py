"""Rows as clients see them."""

from __future__ import annotations

from typing import Any

from core.models import Analysis, AnalysisImage
from core.pricing import CURRENCY


def analysis(row: Analysis) -> dict[str, Any]:
    """An analysis, in the shape of AnalysisView."""
    return {
        "id": row.id,
        "object": "analysis",
        "status": row.state,
        "reason": row.reason,
        "preset": row.preset,
        "preset_version": row.preset_version,
        "model": row.model,
        "question": row.question,
        "context": row.context,
        "metadata": row.meta,
        "images": [_image(image) for image in row.images],
        "answer": row.answer,
        "data": row.data,
        "confidence": row.confidence,
        "finish_reason": row.finish_reason,
        "error": {"code": row.error_code, "message": row.error_message} if row.error_code else None,
        "usage": usage(row),
        "cost": cost(row),
        "attempts": row.attempts,
        "processing_time": processing_time(row),
        "created_at": row.created_at,
        "started_at": row.started_at,
        "completed_at": row.finished_at,
        "deadline_at": row.deadline_at,
        "request_id": row.request_id,
    }


def usage(row: Analysis) -> dict[str, Any]:
    """Tokens, in the shape of UsageSchema; zero before anything was asked."""
    prompt, completion = row.prompt_tokens or 0, row.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": row.cached_tokens or 0,
            "image_tokens": row.image_tokens or 0,
        },
        "completion_tokens_details": {"reasoning_tokens": row.reasoning_tokens or 0},
    }


def cost(row: Analysis) -> dict[str, Any]:
    """Money, in the shape of CostSchema."""
    prompt, completion = row.prompt_cost, row.completion_cost
    total = None if prompt is None or completion is None else float(prompt + completion)
    return {
        "prompt_cost": None if prompt is None else float(prompt),
        "completion_cost": None if completion is None else float(completion),
        "total_cost": total,
        "currency": CURRENCY,
    }


def processing_time(row: Analysis) -> float | None:
    """Seconds from the first try to the end; None before the end."""
    if row.started_at is None or row.finished_at is None:
        return None
    return round((row.finished_at - row.started_at).total_seconds(), 3)


def _image(image: AnalysisImage) -> dict[str, Any]:
    return {
        "file_id": image.file_id,
        "file_name": image.file.name,
        "file_size": image.file.byte_size,
        "media_type": image.file.media_type,
        "sha256": image.file.digest,
        "preparation": image.report,
    }

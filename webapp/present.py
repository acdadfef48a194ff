"""Rows as clients see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.models import Analysis, AnalysisImage, File
from core.pricing import CURRENCY
from core.services import batches
from core.services.batches import PRIORITIES, Standing
from core.services.budgets import Spending, counted
from core.services.estimates import Embeddings, Estimate
from core.services.usage import GROUPS

TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "image_tokens", "reasoning_tokens")
TAKEN = (*TOKENS, "prompt_cost", "completion_cost")
BATCH_RETRY_AFTER = 5
"""Seconds until looking at a batch again makes sense."""
SAMPLE_LENGTH = 300
"""Characters of an answer that a sample shows."""


def page(shown: Sequence[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A page of a listing; `next_cursor` leads to the next one and is None on the last."""
    return {"data": shown, "has_more": more, "next_cursor": shown[-1]["id"] if more else None}


def file(row: File) -> dict[str, Any]:
    """A file, in the shape of FileView."""
    return {
        "id": row.id,
        "object": "file",
        "file_name": row.name,
        "file_size": row.byte_size,
        "media_type": row.media_type,
        "sha256": row.digest,
        "purpose": row.purpose,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }


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
        "preset_options": row.preset_options,
        "response_format": row.response_format,
        "require_quality": row.require_quality,
        "question": row.question,
        "context": row.context,
        "sku": row.sku,
        "detail": row.detail,
        "max_image_tokens": row.max_image_tokens,
        "metadata": row.meta,
        "trial": row.is_trial,
        "images": [image(each) for each in row.images],
        "answer": row.answer,
        "data": row.data,
        "confidence": row.confidence,
        "finish_reason": row.finish_reason,
        "error": problem(row),
        "usage": usage(row),
        "cost": cost(row),
        "cached": row.cached_from is not None,
        "cached_from": row.cached_from,
        "reused_from": _reused_from(row),
        "cascade": _cascade(row),
        "attempts": row.attempts,
        "processing_time": processing_time(row),
        "created_at": row.created_at,
        "started_at": row.started_at,
        "completed_at": row.finished_at,
        "deadline_at": row.deadline_at,
        "request_id": row.request_id,
    }


def image(row: AnalysisImage) -> dict[str, Any]:
    """An image, in the shape of ImageView."""
    file = row.file
    return {
        "view": row.view,
        "url": row.url,
        "file_id": row.file_id,
        "file_name": file.name if file else None,
        "file_size": file.byte_size if file else None,
        "media_type": file.media_type if file else None,
        "sha256": file.digest if file else None,
        "preparation": row.report,
    }


def item(row: Analysis) -> dict[str, Any]:
    """An item of a batch, in the shape of ItemView."""
    place = {"batch_id": row.batch_id, "custom_id": row.custom_id, "position": row.position}
    return analysis(row) | place


def batch(standing: Standing) -> dict[str, Any]:
    """A batch, in the shape of BatchView."""
    row, tally = standing.batch, standing.tally
    counts = batches.counts(standing)
    done = counts["total"] - counts["pending"]
    return {
        "id": row.id,
        "object": "batch",
        "status": row.state,
        "reason": row.reason,
        "counts": counts,
        "cached": tally.cached,
        "progress": round(done / counts["total"], 4) if counts["total"] else 1.0,
        "usage": tokens(tally.taken),
        "cost": money(tally.taken),
        "max_cost": None if standing.max_cost is None else float(standing.max_cost),
        "projection": _projection(standing, counts, done),
        "priority": next(name for name, number in PRIORITIES.items() if number == row.priority),
        "metadata": row.meta,
        "created_at": row.created_at,
        "started_at": tally.started_at,
        "expected_at": standing.expected_at,
        "completed_at": row.finished_at,
        "deadline_at": row.deadline_at,
        "retry_after": None if row.finished_at else BATCH_RETRY_AFTER,
        "request_id": row.request_id,
    }


def _projection(standing: Standing, counts: dict[str, int], done: int) -> dict[str, Any] | None:
    """What the pilot makes of the whole, while the batch waits behind it."""
    row, tally = standing.batch, standing.tally
    if not done or not batches.waits_behind_pilot(row):
        return None
    spent = money(tally.taken)["total_cost"]
    return {
        "items": done,
        "total_cost": None if spent is None else round(spent / done * counts["total"], 10),
        "seconds": None if standing.speed is None else round(counts["total"] / standing.speed, 1),
        "error_rate": round(counts["failed"] / done, 4),
        "samples": [_sample(item) for item in standing.samples],
    }


def _sample(row: Analysis) -> dict[str, Any]:
    """A little of an item of a pilot, in the shape of Sample."""
    return {
        "custom_id": row.custom_id,
        "status": row.state,
        "answer": row.answer and row.answer[:SAMPLE_LENGTH],
        "error": problem(row),
    }


def grouped_usage(row: Mapping[str, Any]) -> dict[str, Any]:
    """A group of calls, in the shape of UsageRow; what has no preset or batch has null there."""
    return {
        **{name: row[name] or None for name in GROUPS if name in row},
        **{name: row[name] for name in ("start", "calls", "refused_calls", "unknown_cost_calls")},
        "usage": tokens({name: row[name] for name in TOKENS}),
        "cost": money(row),
        "reserved_cost": float(row["reserved_cost"]),
        "cached": row["cached"],
        "saved": float(row["saved"]),
        "cascade_saved": float(row["cascade_saved"]),
        "saved_image_tokens": int(row["saved_image_tokens"]),
    }


def flat_usage(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same as a line of a table."""
    group = grouped_usage(row)
    del group["usage"]
    group |= group.pop("cost")
    return group | {"start": row["start"].isoformat()} | {name: row[name] or 0 for name in TOKENS}


def budgets(spendings: Sequence[Spending]) -> dict[str, Any]:
    """The budgets of a key, in the shape of BudgetsView."""
    shown: dict[str, Any] = {"monthly_usd": None, "daily_tokens": None}
    for spending in spendings:
        shown[spending.kind] = {
            "limit": counted(spending.kind, spending.most),
            "spent": counted(spending.kind, spending.spent),
            "reserved": counted(spending.kind, spending.reserved),
            "resets_at": spending.resets_at,
        }
    return shown


def estimate(found: Estimate) -> dict[str, Any]:
    """An estimate, in the shape of EstimateView."""
    return {
        "object": "estimate",
        "items": found.items,
        "calls": found.calls,
        "cached": found.cached,
        **_taken(found),
        "embeddings": found.embeddings and {"calls": found.embeddings.calls, **_taken(found.embeddings)},
        "saved_image_tokens": found.saved_image_tokens,
        "seconds": None if found.seconds is None else round(found.seconds, 1),
        "images": found.images,
        "images_measured": found.images_measured,
        "answers": found.answers,
        "assumed": {
            name: None if value is None else round(value, 3)
            for name, value in found.assumed._asdict().items()
        },
        "warnings": list(found.warnings),
        "not_counted": found.not_counted,
    }


def _taken(found: Estimate | Embeddings) -> dict[str, Any]:
    """Usage and cost of what would be made."""
    cost, taken = found.cost, {"prompt_tokens": found.usage.prompt_tokens}
    amounts = {"prompt_cost": cost and cost.prompt, "completion_cost": cost and cost.completion}
    return {
        "usage": tokens({name: getattr(found.usage, name) for name in TOKENS}),
        "cost": money(taken | amounts),
    }


def usage(row: Analysis) -> dict[str, Any]:
    """Tokens, in the shape of UsageSchema; zero before anything was asked."""
    return tokens({name: getattr(row, name) for name in TOKENS})


def tokens(counts: Mapping[str, int | None]) -> dict[str, Any]:
    """Tokens by kind, in the shape of UsageSchema."""
    known = {name: counts.get(name) or 0 for name in TOKENS}
    return {
        "prompt_tokens": known["prompt_tokens"],
        "completion_tokens": known["completion_tokens"],
        "total_tokens": known["prompt_tokens"] + known["completion_tokens"],
        "prompt_tokens_details": {
            "cached_tokens": known["cached_tokens"],
            "image_tokens": known["image_tokens"],
        },
        "completion_tokens_details": {"reasoning_tokens": known["reasoning_tokens"]},
    }


def cost(row: Analysis) -> dict[str, Any]:
    """Money, in the shape of CostSchema."""
    return money({name: getattr(row, name) for name in TAKEN})


def money(taken: Mapping[str, Any]) -> dict[str, Any]:
    """Money, in the shape of CostSchema: 0 where nothing was taken, null where a model has no price."""
    prompt, completion = taken.get("prompt_cost"), taken.get("completion_cost")
    if all(taken.get(name) is None for name in TAKEN):
        prompt = completion = Decimal()
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


def _reused_from(row: Analysis) -> dict[str, Any] | None:
    """Whose answer about another picture it has, in the shape of ReusedFrom."""
    if row.reused_distance is None:
        return None
    return {"id": row.cached_from, "distance": row.reused_distance}


def _cascade(row: Analysis) -> dict[str, Any] | None:
    """Both models of a cascade and what each cost, in the shape of CascadeSchema."""
    total = cost(row)["total_cost"]
    if row.stronger_model is None:
        return None
    if row.first_model is None:
        first, second = _spent(row.model, total), _spent(row.stronger_model, None)
        return {"first": first, "stronger": second, "reason": None}
    known = row.first_cost is not None and row.prompt_cost is not None and row.completion_cost is not None
    rest = row.prompt_cost + row.completion_cost - row.first_cost if known else None  # type: ignore[operator]
    return {
        "first": _spent(row.first_model, row.first_cost),
        "stronger": _spent(row.model, rest),
        "reason": row.escalation,
    }


def _spent(model: str, amount: Decimal | float | None) -> dict[str, Any]:
    return {"model": model, "total_cost": None if amount is None else float(amount)}


def problem(row: Analysis) -> dict[str, Any] | None:
    """Why there is no answer, in the shape of Problem."""
    return {"code": row.error_code, "message": row.error_message} if row.error_code else None

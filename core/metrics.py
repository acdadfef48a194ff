"""What every process counts of itself for Prometheus, all in one place; docs/operations.md explains each.

Labels take few values: never an id, an account or a path as it was sent. What is to be counted only if it
commits is counted by `after_commit`. The web processes share a folder of files (PROMETHEUS_MULTIPROC_DIR, see
gunicorn.conf.py), so that whichever answers a scrape tells what all of them counted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.orm import Session

from core.db import after_commit
from core.pricing import Cost, Usage

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time for each series, which nobody asks for

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CALL_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120)
PREPARATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
OTHER = "other"
"""Stands for every value that is not known beforehand."""

SUBMISSIONS = Counter(
    "vitrine_submissions_total", "Analyses accepted: each an `analysis` by itself or an `item`.", ["kind"]
)
BATCHES = Counter("vitrine_batches_total", "Batches accepted.")
ANALYSES = Counter("vitrine_analyses_total", "Analyses that became final.", ["outcome", "error_code"])
RETRIES = Counter("vitrine_analysis_retries_total", "Analyses put back for another try.", ["error_code"])
LEASES_SWEPT = Counter("vitrine_leases_swept_total", "Leases that ran out and were taken back.")
TOKENS = Counter(
    "vitrine_tokens_total", "Tokens of answered calls; every token is of one kind.", ["kind", "model"]
)
COST = Counter("vitrine_cost_usd_total", "Cost of answered calls in US dollars.", ["model"])
REUSED = Counter("vitrine_reused_answers_total", "Analyses that got the answer of an earlier one.")
SAVED = Counter("vitrine_saved_usd_total", "Cost of those answers when they were paid for, in US dollars.")

CALL_DURATION = Histogram(
    "vitrine_endpoint_call_duration_seconds",
    "Time of a call to the endpoint, answered or not.",
    buckets=CALL_BUCKETS,
)
RESPONSES = Counter(
    "vitrine_endpoint_responses_total",
    "Calls to the endpoint by HTTP status, or `timeout` or `broken` where there was none.",
    ["status"],
)
FETCHES = Counter(
    "vitrine_image_fetches_total",
    "Images named by a URL: `fetched`, `unchanged` since before, `failed`, or `waiting` for their host.",
    ["outcome"],
)
PREPARATION_DURATION = Histogram(
    "vitrine_preparation_duration_seconds", "Time to prepare an image.", buckets=PREPARATION_BUCKETS
)
THROTTLE_WAIT = Histogram(
    "vitrine_throttle_wait_seconds",
    "Time that a call waited for the endpoint's limits.",
    buckets=CALL_BUCKETS,
)
BREAKER_OPEN = Gauge(
    "vitrine_breaker_open",
    "Whether calls are held back after failures.",
    multiprocess_mode="livemostrecent",
)
REQUEST_DURATION = Histogram(
    "vitrine_http_request_duration_seconds",
    "Time until the answer to a request begins.",
    ["route", "method", "status"],
    buckets=REQUEST_BUCKETS,
)

DELIVERIES = Counter(
    "vitrine_webhook_attempts_total",
    "Attempts to deliver to webhooks: `delivered`, `retried` later, or `failed` for good.",
    ["outcome"],
)
DELIVERY_DURATION = Histogram(
    "vitrine_webhook_attempt_duration_seconds",
    "Time of an attempt to deliver to a webhook.",
    buckets=REQUEST_BUCKETS,
)


def registry() -> CollectorRegistry:
    """What the processes that share the folder counted; without a folder, what this one did."""
    if not values.ValueClass._multiprocess:  # noqa: SLF001  (the library tells it nowhere else)
        return REGISTRY
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return shared


def ended_after_commit(session: Session, outcome: str, error_code: str | None = None, count: int = 1) -> None:
    """Count analyses that this session's transaction makes final."""
    after_commit(session, lambda: ANALYSES.labels(outcome, error_code or "").inc(count))


def reused_after_commit(session: Session, saved: Sequence[Decimal | None]) -> None:
    """Count analyses that this session's transaction gives an answer to, by what that had cost."""
    ended_after_commit(session, "completed", count=len(saved))
    after_commit(session, lambda: REUSED.inc(len(saved)))
    after_commit(session, lambda: SAVED.inc(float(sum(cost for cost in saved if cost))))


def count_usage(model: str, known: Collection[str], usage: Usage, cost: Cost | None) -> None:
    """Count what an answered call took; models that are not `known` any more are one."""
    name = model if model in known else OTHER
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    reasoning = min(usage.reasoning_tokens, usage.completion_tokens)
    kinds = {
        "prompt": usage.prompt_tokens - cached,
        "cached": cached,
        "completion": usage.completion_tokens - reasoning,
        "reasoning": reasoning,
    }
    for kind, tokens in kinds.items():
        TOKENS.labels(kind, name).inc(tokens)
    COST.labels(name).inc(float(cost.total if cost else Decimal()))

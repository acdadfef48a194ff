"""What clients do with analyses: submit, look, wait, cancel, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from core import metrics, quality
from core.db import after_commit
from core.desk import Desk
from core.errors import InvalidRequest, NotFound, WrongState
from core.ids import new_id
from core.models import Analysis, ApiKey, File
from core.presets import Preset
from core.queue import Task
from core.reuse import AUTO, Cache, Common, fingerprint
from core.services import budgets, idempotency, reuse, webhooks
from core.services.files import WITH_ANALYSIS, Upload, check_images, keep_bytes, named
from core.services.idempotency import Once
from core.services.image_urls import ImageUrl
from core.services.presets import check_form, find, models_of
from core.services.reuse import Fingerprints
from core.services.webhooks import Told
from core.states import FINAL, AnalysisState
from core.store import analyses, deliveries, files, submissions
from core.store.submissions import Source

QUESTION_LENGTH = 4_000
CONTEXT_LENGTH = 8_000
METADATA_BYTES = 16_384
DETAILS = ("auto", "low", "high")
LOOK_SECONDS = 1.0
"""How long a waiter relies on events before it looks into the database itself."""

Image = Upload | ImageUrl | str
"""New bytes, an address to fetch them from, or the id of a file that the account has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a client asks, its shape checked; None takes the preset's or the server's default."""

    images: Sequence[Image]
    question: str | None = None
    context: str | None = None
    preset: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    detail: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    preset_options: Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    """In OpenAI's shape."""
    is_trial: bool = False
    require_quality: Sequence[str] = ()
    """Names of rule sets."""
    cache: Cache = AUTO
    """Whether an earlier answer will do."""
    reuse: str | None = None
    """`near` where an earlier answer about a picture that shows the same will do."""
    told: Told | None = None
    """Who is to be told how it ends."""


def submit(
    desk: Desk, key: ApiKey, submission: Submission, request_id: str, once: Once | None = None
) -> Analysis:
    """Accept a submission: bytes, files and analysis are durable when this returns, then a worker is rung.

    What `once` has made before is given instead. Raises Conflict, IdempotencyMismatch, InvalidRequest,
    NotFound, InvalidImage, UnsupportedMediaType, Unavailable; nothing is half-stored.
    """
    preset = find(desk, key.account_id, submission.preset)
    _check(desk, submission)
    check_form(desk, key.account_id, preset, submission.preset_options, submission.response_format)
    analysis = fresh(key, request_id, **_columns(desk, submission, preset))
    made = accept(desk, key, analysis, submission.images, once, submission.told, preset)
    return get(desk, key.account_id, made)


def accept(
    desk: Desk,
    key: ApiKey,
    analysis: Analysis,
    images: Sequence[Image],
    once: Once | None = None,
    told: Told | None = None,
    preset: Preset | None = None,
) -> str:
    """Store a new analysis of these images and ring a worker; its id.

    Without a preset it is passed on as it came. Raises as `submit` does.
    """
    account_id = key.account_id
    uploads = [image for image in images if isinstance(image, Upload)]
    kinds = check_images(desk, uploads)
    keep_bytes(desk, uploads)
    fresh = [
        named(upload, account_id=account_id, media_type=kind.media_type, purpose=WITH_ANALYSIS)
        for upload, kind in zip(uploads, kinds, strict=True)
    ]
    common = _common(desk, analysis, preset)
    with budgets.telling(desk, key), desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, analysis.id):
            return earlier
        sources, digests = _sources(session, account_id, images, fresh)
        if common and all(digests):
            analysis.fingerprint = fingerprint(common, analysis.question, analysis.context, digests)
        deadline = timedelta(seconds=desk.settings.analysis_deadline)
        submissions.add(session, analysis, deadline, sources, fresh)
        webhooks.attach(session, account_id, analysis.id, told)
        if not analysis.fingerprint or not reuse.settle(desk, session, [analysis.id]):
            budgets.demand_room(desk, session, key, analysis, preset, len(sources))
            desk.doorbell.ring_after_commit(session, Task.ANALYZE, analysis.id)
        after_commit(session, metrics.SUBMISSIONS.labels("analysis").inc)
    return analysis.id


def get(desk: Desk, account_id: str, analysis_id: str) -> Analysis:
    """One analysis. Raises NotFound."""
    with desk.database.transaction() as session:
        return analyses.owned(session, account_id, analysis_id)


def wait(
    desk: Desk,
    account_id: str,
    analysis_id: str,
    seconds: float,
    is_over: Callable[[], bool] = lambda: False,
) -> Analysis:
    """The analysis as soon as it is final, or as it stands when time is up or `is_over`. Raises NotFound."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not is_over():
        with desk.database.statement() as connection:
            state = analyses.state_of(connection, account_id, analysis_id)
        if state is None or state in FINAL:
            break
        desk.events.wait(analysis_id, min(left, LOOK_SECONDS))
    return get(desk, account_id, analysis_id)


def page(
    desk: Desk, account_id: str, *, before: str | None, limit: int, filters: Mapping[str, Any]
) -> tuple[list[Analysis], bool]:
    """A page of the account's analyses, the newest first, and whether there are more."""
    with desk.database.transaction() as session:
        rows = analyses.page(session, account_id, before=before, limit=limit + 1, filters=filters)
    return rows[:limit], len(rows) > limit


def cancel(desk: Desk, account_id: str, analysis_id: str) -> Analysis:
    """Cancel an analysis that is not final; one cancelled already stays so. Raises NotFound, WrongState.

    A call that is on its way cannot be unsent: its cost still reaches the books and this analysis.
    """
    with desk.database.transaction() as session:
        found = analyses.owned(session, account_id, analysis_id)
        if found.state == AnalysisState.CANCELLED:
            return found
        if found.state in FINAL:
            raise WrongState(f"It is {found.state} already.")
        analyses.move_one(session, analysis_id, AnalysisState.CANCELLED, reason="cancelled by the client")
        desk.events.tell_after_commit(session, analysis_id, AnalysisState.CANCELLED)
        metrics.ended_after_commit(session, AnalysisState.CANCELLED)
        reuse.let_followers_go(desk, session, analysis_id, AnalysisState.CANCELLED)
        return analyses.owned(session, account_id, analysis_id)


def delete(desk: Desk, account_id: str, analysis_id: str) -> None:
    """Delete a final analysis with the files that came with it. Raises NotFound, WrongState."""
    with desk.database.transaction() as session:
        found = analyses.owned(session, account_id, analysis_id)
        if found.batch_id is not None:
            raise WrongState(f"It is an item of batch {found.batch_id}, whose counts it belongs to.")
        file_ids = [image.file_id for image in found.images if image.file_id]
        analyses.remove(session, analysis_id)
        deliveries.remove_of(session, [analysis_id])
        files.remove_unused(session, file_ids, WITH_ANALYSIS)


def _check(desk: Desk, submission: Submission) -> None:
    """The rules that a submission must keep beyond its shape."""
    settings = desk.settings
    webhooks.check(desk, submission.told)
    if not submission.images:
        raise InvalidRequest("Send at least one image.", details={"field": "images"})
    if len(submission.images) > settings.max_images:
        raise InvalidRequest(
            f"An analysis takes at most {settings.max_images} images.", details={"field": "images"}
        )
    quality.named(submission.require_quality)
    if submission.question is None and not submission.preset:
        raise InvalidRequest("Ask a question or name a preset.", details={"field": "question"})
    if submission.model and submission.model not in settings.models:
        known = ", ".join(settings.models)
        raise InvalidRequest(
            f"The model {submission.model!r} is not served here; these are: {known}.",
            details={"field": "model"},
        )


def _sources(
    session: Session, account_id: str, images: Sequence[Image], fresh: Sequence[File]
) -> tuple[list[Source], list[str]]:
    """Where the images of a submission come from, and SHA-256 of each; '' where that has to be fetched.

    Raises NotFound for ids that are not the account's.
    """
    given = [image for image in images if isinstance(image, str)]
    known = files.owned(session, account_id, given) if given else {}
    missing = [image for image in given if image not in known]
    if missing:
        raise NotFound(f"There is no file {missing[0]!r}.", details={"field": "images", "missing": missing})
    new = iter(fresh)

    def source(image: Image) -> tuple[Source, str]:
        if isinstance(image, ImageUrl):
            return (None, image.url), ""
        file = known[image] if isinstance(image, str) else next(new)
        return (file.id, None), file.digest

    found = [source(image) for image in images]
    return [where for where, _ in found], [digest for _, digest in found]


def _common(desk: Desk, analysis: Analysis, preset: Preset | None) -> Common | None:
    """What a new analysis asks beside its question and images; None where no answer is given again."""
    if analysis.cache_seconds is None:
        return None
    return Fingerprints(desk, analysis.account_id).common(analysis, preset, analysis.body)


def fresh(key: ApiKey, request_id: str, **columns: Any) -> Analysis:
    """A new analysis that waits."""
    return Analysis(
        id=new_id("an"),
        account_id=key.account_id,
        key_id=key.id,
        request_id=request_id,
        state=AnalysisState.QUEUED,
        is_trial=columns.pop("is_trial", False),
        reuses_near=columns.pop("reuses_near", False),
        **columns,
    )


def _columns(desk: Desk, submission: Submission, preset: Preset) -> dict[str, Any]:
    settings, temperature = desk.settings, submission.temperature
    model, stronger = models_of(desk, preset, submission.model)
    return {
        "preset": preset.name,
        "preset_version": preset.version,
        "preset_id": preset.id,
        "is_trial": submission.is_trial,
        "cache_seconds": None if submission.is_trial else reuse.max_age(desk, submission.cache),
        "reuses_near": submission.reuse is not None,
        "require_quality": list(submission.require_quality) or None,
        "question": submission.question,
        "context": submission.context or None,
        "preset_options": dict(submission.preset_options or {}) or None,
        "response_format": dict(submission.response_format or {}) or None,
        "model": model,
        "stronger_model": stronger,
        "max_tokens": submission.max_tokens or settings.default_max_tokens,
        "temperature": settings.default_temperature if temperature is None else temperature,
        "detail": submission.detail or preset.detail,
        "meta": dict(submission.metadata),
    }

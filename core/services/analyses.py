"""What clients do with analyses: submit, look, wait, cancel, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest
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
from core.services.files import WITH_ANALYSIS, Upload, check_images, keep_bytes, named, unusable
from core.services.idempotency import Once
from core.services.image_urls import ImageUrl
from core.services.presets import check_cascade, check_form, find, models_of, too_few_tokens
from core.services.reuse import Fingerprints
from core.services.webhooks import Told
from core.states import FINAL, AnalysisState
from core.store import analyses, calls, deliveries, files, messages, submissions
from core.store.submissions import Source
from core.views import problem_of

QUESTION_LENGTH = 4_000
CONTEXT_LENGTH = 8_000
METADATA_BYTES = 16_384
LOOK_SECONDS = 1.0
"""How long a waiter relies on events before it looks into the database itself."""
LET_GO = timedelta(seconds=5)
"""How long a worker may take to notice that it is not wanted: it looks once a second, as text comes."""

Image = Upload | ImageUrl | str
"""New bytes, an address to fetch them from, or the id of a file that the account has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a client asks, its shape checked; None takes the preset's or the server's default."""

    images: Sequence[Image]
    views: Sequence[str | None] = ()
    """What each image shows; none where nobody says it."""
    sku: str | None = None
    question: str | None = None
    context: str | None = None
    preset: str | None = None
    model: str | None = None
    stronger_model: str | None = None
    """Asked too where the model's answer is not enough."""
    max_tokens: int | None = None
    temperature: float | None = None
    detail: str | None = None
    max_image_tokens: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    preset_options: Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    """In OpenAI's shape."""
    is_trial: bool = False
    stream: bool = False
    """Whether its text is told while it is made."""
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
    check_cascade(desk, preset, submission.model, submission.stronger_model, submission.response_format)
    columns = _columns(desk, submission, preset)
    if problem := too_few_tokens(desk, columns["model"], columns["detail"], columns["max_image_tokens"]):
        raise InvalidRequest(problem, details={"field": "max_image_tokens"})
    analysis = fresh(key, request_id, **columns)
    made = accept(desk, key, analysis, submission.images, once, submission.told, preset, submission.views)
    return get(desk, key.account_id, made)


def accept(
    desk: Desk,
    key: ApiKey,
    analysis: Analysis,
    images: Sequence[Image],
    once: Once | None = None,
    told: Told | None = None,
    preset: Preset | None = None,
    views: Sequence[str | None] = (),
) -> str:
    """Store a new analysis of these images, maybe views of a product, and ring a worker; its id.

    Without a preset it is passed on as it came. Raises as `submit` does.
    """
    new = keep(desk, key.account_id, images)
    common = _common(desk, analysis, preset)
    known = any(isinstance(image, str) for image in images)
    if not (once or told or common or key.budgets or known):  # nothing to be looked at
        _enter_alone(desk, analysis, images, new, views)
        return analysis.id
    with budgets.telling(desk, key), desk.database.transaction() as session:
        if earlier := idempotency.earlier(desk, session, once, analysis.id):
            return earlier
        enter(desk, session, key, analysis, images, new, told, preset, views, common)
    return analysis.id


def keep(desk: Desk, account_id: str, images: Sequence[Image]) -> list[File]:
    """Keep the bytes of new images; their names, in their order, are still to be stored.

    Raises InvalidImage, UnsupportedMediaType, Unavailable.
    """
    uploads = [image for image in images if isinstance(image, Upload)]
    kinds = check_images(desk, uploads)
    keep_bytes(desk, uploads)
    return [
        named(upload, account_id=account_id, media_type=kind.media_type, purpose=WITH_ANALYSIS)
        for upload, kind in zip(uploads, kinds, strict=True)
    ]


def enter(
    desk: Desk,
    session: Session,
    key: ApiKey,
    analysis: Analysis,
    images: Sequence[Image],
    new: Sequence[File],
    told: Told | None = None,
    preset: Preset | None = None,
    views: Sequence[str | None] = (),
    common: Common | None = None,
) -> None:
    """Store a new analysis with its new files in a transaction that is open, after which a worker is rung.

    With what it has in common with others, an answer that is there already will do. Raises NotFound,
    BudgetExceeded, InvalidRequest.
    """
    sources, digests = _sources(owned_images(session, key.account_id, images), images, new, views)
    if common and all(digests):
        analysis.fingerprint = fingerprint(common, analysis.question, analysis.context, digests, views)
    submissions.add(session, analysis, _deadline(desk), sources, new)
    webhooks.attach(session, key.account_id, analysis.id, told)
    if not analysis.fingerprint or not reuse.settle(desk, session, [analysis.id]):
        budgets.demand_room(desk, session, key, analysis, preset, len(sources))
        desk.doorbell.ring_after_commit(session, Task.ANALYZE, analysis.id)
    after_commit(session, metrics.SUBMISSIONS.labels("analysis").inc)


def _enter_alone(
    desk: Desk,
    analysis: Analysis,
    images: Sequence[Image],
    new: Sequence[File],
    views: Sequence[str | None],
) -> None:
    """The same, where nothing else has to be looked at or stored: by the one statement, which so commits."""
    sources, _ = _sources({}, images, new, views)
    with desk.database.driver() as driver:
        submissions.add_alone(driver, analysis, _deadline(desk), sources, new)
    desk.doorbell.ring(Task.ANALYZE, [analysis.id])
    metrics.SUBMISSIONS.labels("analysis").inc()


def get(desk: Desk, account_id: str, analysis_id: str) -> Analysis:
    """One analysis. Raises NotFound."""
    with desk.database.transaction() as session:
        return analyses.owned(session, account_id, analysis_id)


def state(desk: Desk, account_id: str, analysis_id: str) -> AnalysisState:
    """Only how an analysis stands. Raises NotFound."""
    with desk.database.driver() as driver:
        found = analyses.state_of(driver, account_id, analysis_id)
    if found is None:
        raise NotFound(f"There is no analysis {analysis_id!r}.")
    return AnalysisState(found)


def text_is_due(desk: Desk, analysis_id: str) -> bool:
    """Whether a worker will yet hand in the text of a streamed analysis that was cancelled or expired."""
    with desk.database.statement() as connection:
        return calls.is_held(connection, analysis_id, LET_GO)


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
        with desk.database.driver() as driver:
            found = analyses.state_of(driver, account_id, analysis_id)
        if found is None or found in FINAL:
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
        give_up(desk, session, analysis_id, "cancelled by the client")
        return analyses.owned(session, account_id, analysis_id)


def give_up(desk: Desk, session: Session, analysis_id: str, why: str) -> None:
    """Cancel an analysis in a transaction that is open. Raises WrongState where it is final."""
    analyses.move_one(session, analysis_id, AnalysisState.CANCELLED, reason=why)
    desk.events.tell_after_commit(session, analysis_id, AnalysisState.CANCELLED)
    metrics.ended_after_commit(session, AnalysisState.CANCELLED)
    reuse.let_followers_go(desk, session, analysis_id, AnalysisState.CANCELLED)


def delete(desk: Desk, account_id: str, analysis_id: str) -> None:
    """Delete a final analysis with the files that came with it. Raises NotFound, WrongState."""
    with desk.database.transaction() as session:
        found = analyses.owned(session, account_id, analysis_id)
        if found.batch_id is not None:
            raise WrongState(f"It is an item of batch {found.batch_id}, whose counts it belongs to.")
        if (of := messages.session_of(session, analysis_id)) is not None:
            raise WrongState(f"It is a turn of session {of}: delete the session, or let it expire.")
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
    check_views(submission.views, len(submission.images))
    quality.named(submission.require_quality)
    if submission.question is None and not submission.preset:
        raise InvalidRequest("Ask a question or name a preset.", details={"field": "question"})
    if submission.model and submission.model not in settings.models:
        known = ", ".join(settings.models)
        raise InvalidRequest(
            f"The model {submission.model!r} is not served here; these are: {known}.",
            details={"field": "model"},
        )


def check_views(views: Sequence[str | None], images: int) -> None:
    """Raises InvalidRequest for views that are not as many as the images, not names, or not all different."""
    if views and len(views) != images:
        raise InvalidRequest(
            f"Name a view for each of the {images} images, or none: these are {len(views)}.",
            details={"field": "view"},
        )
    named = [view for view in views if view is not None]
    for view in named:
        if why := problem_of(view):
            raise InvalidRequest(f"view: {why}", details={"field": "view"})
    if len({view.casefold() for view in named}) < len(named):
        raise InvalidRequest(
            "Each image shows another view: two are called alike.", details={"field": "view"}
        )


def owned_images(session: Session, account_id: str, images: Sequence[Image]) -> dict[str, File]:
    """The files that images name, by id.

    Raises NotFound for ids that are not the account's, InvalidImage for its files of another purpose.
    """
    given = [image for image in images if isinstance(image, str)]
    known = files.owned(session, account_id, given) if given else {}
    missing = [image for image in given if image not in known]
    if missing:
        purpose = files.purposes(session, account_id, missing[:1]).get(missing[0])
        details = {"field": "images", "missing": missing, "position": images.index(missing[0])}
        raise unusable(missing[0], purpose, details)
    return known


def _deadline(desk: Desk) -> timedelta:
    return timedelta(seconds=desk.settings.analysis_deadline)


def _sources(
    known: Mapping[str, File],
    images: Sequence[Image],
    fresh: Sequence[File],
    views: Sequence[str | None],
) -> tuple[list[Source], list[str]]:
    """Where images come from, what they show, and SHA-256 of each, "" where it is still to be fetched."""
    new = iter(fresh)

    def source(image: Image, view: str | None) -> tuple[Source, str]:
        if isinstance(image, ImageUrl):
            return (None, image.url, view), ""
        file = known[image] if isinstance(image, str) else next(new)
        return (file.id, None, view), file.digest

    found = [source(image, view) for image, view in zip_longest(images, views)]
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
        streamed=columns.pop("streamed", False),
        reuses_near=columns.pop("reuses_near", False),
        **columns,
    )


def _columns(desk: Desk, submission: Submission, preset: Preset) -> dict[str, Any]:
    settings, temperature = desk.settings, submission.temperature
    model, stronger = models_of(desk, preset, submission.model, submission.stronger_model)
    return {
        "preset": preset.name,
        "preset_version": preset.version,
        "preset_id": preset.id,
        "is_trial": submission.is_trial,
        "sku": submission.sku,
        "streamed": submission.stream,
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
        "max_image_tokens": submission.max_image_tokens or preset.max_image_tokens,
        "meta": dict(submission.metadata),
    }

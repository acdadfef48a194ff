"""The endpoint's embeddings of images, where a model is set for them: ordered, waited for, kept.

Each is the work of an ordinary analysis of the account, so that it stands in the books, and is held back,
retried and refused as all others are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from core import metrics
from core.db import after_commit
from core.desk import Desk
from core.errors import BudgetExceeded, InvalidRequest
from core.models import ApiKey
from core.queue import BULK, INTERACTIVE, Task
from core.services import analyses, budgets
from core.services.keys import Scope
from core.services.outcomes import Claim
from core.store import accounts, embeddings, submissions
from core.store.embeddings import Vector, Wanted

PRESET, PRESET_VERSION = "image-embedding", 1
"""What stands in the place of a preset; there is no pack of this name."""
DETAIL = "low"
"""Models that embed images look at some hundred pixels."""
TOLD = "auto"
"""The detail that the endpoint goes by: its request has no place for one."""
LONGEST_WAIT = 10.0
"""Seconds that a search waits for an embedding, after which it does without."""
REBUILDING = "index-rebuild"
"""The request id of what nobody has just asked for."""

log = structlog.get_logger(__name__)


def wanted(desk: Desk, account_id: str, digest: str) -> Wanted:
    """An image of an account, as the model sees it that is set now."""
    return Wanted(account_id, desk.settings.similar_embedding_model, digest)


def order(desk: Desk, key: ApiKey, digest: str, request_id: str, *, queue: str = INTERACTIVE) -> str | None:
    """Have an image embedded, once for an account and model; the id of the analysis that does it.

    None where it is done, or the bytes are gone. Raises BudgetExceeded, InvalidRequest where the key cannot
    pay, which other keys may.
    """
    this = wanted(desk, key.account_id, digest)
    analysis = analyses.fresh(
        key,
        request_id,
        preset=PRESET,
        preset_version=PRESET_VERSION,
        model=this.model,
        max_tokens=0,
        temperature=0,
        detail=DETAIL,
        meta={},
        body={"sha256": digest},
    )
    deadline = timedelta(seconds=desk.settings.analysis_deadline)
    with budgets.telling(desk, key), desk.database.transaction() as session:
        ordered = embeddings.order(session, this, analysis.id)
        if ordered == analysis.id:
            budgets.demand_room(desk, session, key, analysis, None, 1)
            submissions.add(session, analysis, deadline, [], [])
            after_commit(session, partial(desk.doorbell.ring, Task.ANALYZE, [analysis.id], queue))
            after_commit(session, metrics.SUBMISSIONS.labels("analysis").inc)
    return ordered


def order_seen(desk: Desk, seen: Iterable[tuple[str, str, str]]) -> None:
    """Have images embedded that were analysed, given as (id of the key, request id, digest).

    What a key cannot pay is left. Raises Unavailable.
    """
    for key_id, request_id, digest in seen:
        with desk.database.transaction() as session:
            key = accounts.key(session, key_id)
        if key is not None:
            _order_if_paid(desk, key, digest, request_id, BULK)


def order_missing(desk: Desk, images: Sequence[Wanted]) -> list[str]:
    """Have stored images embedded, each paid by the newest key of its account that may; the analyses' ids."""
    ordered = []
    for image in images:
        with desk.database.transaction() as session:
            key = accounts.newest_key(session, image.account_id, Scope.WRITE)
        if key is not None:
            ordered.append(_order_if_paid(desk, key, image.digest, REBUILDING, BULK))
    return [each for each in ordered if each is not None]


def find(
    desk: Desk,
    key: ApiKey,
    request_id: str,
    is_over: Callable[[], bool],
    digest: str,
) -> Vector | None:
    """The vector of an image, ordered and waited for where it is missing; None where it cannot be had now.

    A key that may only read causes no costs. Nothing is raised for what the endpoint or a budget refuses.
    """
    if not desk.settings.similar_embedding_model:
        return None
    found = of(desk, key.account_id, digest)
    if found is None and Scope.WRITE in key.scopes:
        ordered = _order_if_paid(desk, key, digest, request_id, INTERACTIVE)
        if ordered is not None:
            seconds = min(LONGEST_WAIT, desk.settings.request_timeout)
            analyses.wait(desk, key.account_id, ordered, seconds, is_over)
        found = of(desk, key.account_id, digest)
    return found


def of(desk: Desk, account_id: str, digest: str) -> Vector | None:
    """The vector of an image by the model that is set, where it is there."""
    with desk.database.statement() as connection:
        return embeddings.of(connection, wanted(desk, account_id, digest))


def of_claim(desk: Desk, claimed: Claim) -> Vector | None:
    """The vector that an analysis is to make, where an earlier try has kept it."""
    with desk.database.statement() as connection:
        return embeddings.of(connection, _ordered_by(claimed))


def keep(desk: Desk, claimed: Claim, vector: Sequence[float]) -> None:
    """Keep the vector that an analysis has made."""
    with desk.database.statement() as connection:
        embeddings.keep(connection, _ordered_by(claimed), vector)


def digest_of(claimed: Claim) -> str:
    """SHA-256 of the image that an analysis embeds."""
    return str((claimed.body or {})["sha256"])


def missing(desk: Desk, behind: tuple[str, str] = ("", ""), limit: int = 1_000) -> list[Wanted]:
    """Measured images that lack an embedding by the model that is set, by accounts and digests."""
    with desk.database.transaction() as session:
        return embeddings.missing(session, desk.settings.similar_embedding_model, behind=behind, limit=limit)


def count_missing(desk: Desk) -> int:
    """How many there are."""
    with desk.database.transaction() as session:
        return embeddings.count_missing(session, desk.settings.similar_embedding_model)


def count_left(desk: Desk, analysis_ids: Sequence[str]) -> int:
    """How many of these analyses are still to end."""
    with desk.database.transaction() as session:
        return embeddings.count_left(session, analysis_ids)


def count_kept(desk: Desk, analysis_ids: Sequence[str]) -> int:
    """How many of these analyses have brought a vector."""
    with desk.database.transaction() as session:
        return embeddings.count_kept(session, analysis_ids)


def _ordered_by(claimed: Claim) -> Wanted:
    return Wanted(claimed.account_id, claimed.model, digest_of(claimed))


def _order_if_paid(desk: Desk, key: ApiKey, digest: str, request_id: str, queue: str) -> str | None:
    try:
        return order(desk, key, digest, request_id, queue=queue)
    except (BudgetExceeded, InvalidRequest) as error:
        log.info("embedding_unpaid", digest=digest, why=error.message)
        return None

"""Answers that are given again: what asks the same is answered by it, or waits for who asks already.

See docs/decisions/0017-reuse.md. Whoever waits holds neither a slot nor a bell: it is queued until its
deadline, and answered or let go by the transaction in which the one that it follows ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.orm import Session

from core import metrics
from core import reuse as prints
from core.db import after_commit
from core.desk import Desk
from core.errors import WrongState
from core.presets import Preset
from core.presets.preset import MEASURE
from core.queue import Task
from core.reuse import Common
from core.services import presets
from core.states import AnalysisState
from core.store import analyses, brands, flights, outbox, reuse, taxonomies
from core.store.claims import Claim
from core.store.reuse import Settled

CHAT = "chat"

log = structlog.get_logger(__name__)


class Answered(Exception):
    """Another analysis has the answer already: nothing is to be asked."""


class Given(Exception):
    """An analysis was completed with the answer about another picture: nothing is to be asked."""

    event = "analysis_reused"


class Following(Exception):
    """Another analysis asks the same just now: this one is queued behind it, and no longer its worker's."""

    event = "analysis_follows"


class Fingerprints:
    """Of what an account asks within one submission: what presets look up is looked up once.

    What is asked is an analysis, an item or a claim, which call its parts alike.
    """

    def __init__(self, desk: Desk, account_id: str) -> None:
        self._desk = desk
        self._account_id = account_id
        self._lists: dict[tuple[str | None, Any], str] = {}

    def common(self, asked: Any, preset: Preset | None, body: Any = None) -> Common | None:
        """What a question has in common with others; a chat has a body and no preset.

        None for what is measured and not asked: it is free.
        """
        if preset is not None and preset.method == MEASURE:
            return None
        options = asked.preset_options
        return Common(
            account_id=self._account_id,
            endpoint=self._desk.settings.openai_base_url,
            preset=preset.name if preset else CHAT,
            preset_version=preset.version if preset else 0,
            preset_id=preset.id if preset else None,
            lists=self._revisions(preset, options) if preset else "",
            options=prints.as_text(options, sort=True),
            response_format=prints.as_text(asked.response_format),
            rules=tuple(asked.require_quality or ()),
            model=asked.model,
            stronger_model=asked.stronger_model,
            max_tokens=asked.max_tokens,
            temperature=float(asked.temperature),
            detail=asked.detail,
            max_image_tokens=asked.max_image_tokens,
            body="" if body is None else prints.digest(prints.as_text(_unstreamed(body))),
        )

    def of(
        self, asked: Any, preset: Preset | None, digests: Sequence[str | None], body: Any = None
    ) -> bytes | None:
        """The fingerprint of a question about these images; None where there is none, or none yet."""
        known = [digest for digest in digests if digest]
        common = self.common(asked, preset, body) if len(known) == len(digests) else None
        return (
            prints.fingerprint(common, asked.question, asked.context, known, asked.views) if common else None
        )

    def _revisions(self, preset: Preset, options: Mapping[str, Any] | None) -> str:
        """What changes with every change of the lists of the account's that a preset's answers depend on."""
        if not preset.brand_field and not preset.choices:
            return ""
        name = (preset.defaults | dict(options or {})).get(preset.choices) if preset.choices else None
        key = (preset.brand_field, name)
        if key not in self._lists:
            with self._desk.database.transaction() as session:
                stamp = brands.stamp(session, self._account_id) if preset.brand_field else None
                changed = taxonomies.changed_at(session, self._account_id, str(name)) if name else None
            self._lists[key] = f"{stamp} {name} {changed}"
        return self._lists[key]


def _unstreamed(body: Mapping[str, Any]) -> dict[str, Any]:
    """A chat's body without what only says how its answer is sent."""
    return {name: body[name] for name in sorted(body) if name not in {"stream", "stream_options"}}


def settle(desk: Desk, session: Session, ids: Sequence[str]) -> set[str]:
    """Answer waiting rows, or let them wait for who asks the same; those that need no bell."""
    if not ids:
        return set()
    settled = reuse.settle_waiting(session, ids)
    _told(desk, session, settled)
    answered = {row.id for row in settled}
    rest = [analysis_id for analysis_id in ids if analysis_id not in answered]
    return answered | flights.follow(session, rest) if rest else answered


def to_pay(session: Session, account_id: str, asked: Sequence[Any]) -> list[Any]:
    """Those of the items that no answer would be given to: each question once, unless it has one already.

    What runs just now is not looked for, nor what other pictures would do for.
    """
    known = {(item.fingerprint, item.cache_seconds) for item in asked if item.fingerprint}
    answered = reuse.answered(session, account_id, known) if known else set()
    paid, begun = [], set()
    for item in asked:
        if (item.fingerprint, item.cache_seconds) in answered or item.fingerprint in begun:
            continue
        paid.append(item)
        begun |= {item.fingerprint} - {None}
    return paid


def settle_one(desk: Desk, analysis_id: str) -> bool:
    """The same for one row, in a transaction of its own; False where it waits for nobody and may be taken."""
    with desk.database.transaction() as session:
        return bool(settle(desk, session, [analysis_id])) or not flights.is_due(session, analysis_id)


def give(desk: Desk, claimed: Claim) -> bool:
    """Complete a claimed analysis with the answer that another has; False where that or the claim is gone."""
    with desk.database.transaction() as session:
        analyses.lock(session, claimed.id)
        return take(desk, session, claimed)


def take(desk: Desk, session: Session, claimed: Claim) -> bool:
    """In a transaction that holds the row: complete it, and let go who follows it; False as `give` says."""
    settled = reuse.settle_held(session, claimed.id, claimed.fence)
    _told(desk, session, settled)
    if settled:
        let_followers_go(desk, session, claimed.id, AnalysisState.COMPLETED)
    return bool(settled)


def let_followers_go(desk: Desk, session: Session, leader_id: str, ended: AnalysisState) -> None:
    """In the transaction that ends an analysis: answer those that follow it, or let them go on without it.

    Where it failed, each goes by itself from now on: one bad image must not make all others like it wait for
    each other's failures.
    """
    if ended == AnalysisState.COMPLETED:
        _told(desk, session, reuse.settle_followers(session, [leader_id]))
    _ring(desk, session, flights.let_go(session, [leader_id], alone=ended == AnalysisState.FAILED))


def mend(session: Session) -> None:
    """Let go who waits in vain: its leader ended unseen, or is held back with its batch."""
    if count := flights.let_abandoned_go(session):
        log.info("followers_let_go", count=count)


def identify(desk: Desk, claimed: Claim) -> None:
    """Give a claimed analysis, whose images have been fetched only now, its fingerprint.

    Raises Answered, Following, or WrongState where it is no longer this worker's.
    """
    if claimed.cache_seconds is None:
        return
    preset = None
    if claimed.body is None:
        preset = presets.stored(desk, claimed.preset, claimed.preset_version, claimed.preset_id)
    found = Fingerprints(desk, claimed.account_id).of(claimed, preset, claimed.digests, claimed.body)
    if found is None:
        return
    with desk.database.statement() as connection:
        standing = flights.identify(connection, claimed.id, claimed.fence, found)
    if standing is None:
        raise WrongState(f"Analysis {claimed.id} is no longer this worker's.")
    if standing == flights.ANSWERED:
        raise Answered
    if standing == flights.LED:
        _step_back(desk, claimed, found)
        raise Following


def _step_back(desk: Desk, claimed: Claim, fingerprint: bytes) -> None:
    """Put a claimed analysis behind the one that asks the same; where that has ended meanwhile, ring anew.

    In two transactions: heartbeats lock rows in another order.
    """
    with desk.database.statement() as connection:
        flights.step_back(connection, claimed.id, claimed.fence, fingerprint)
    with desk.database.transaction() as session:
        if not settle(desk, session, [claimed.id]) and claimed.batch_id is None:
            _ring(desk, session, [claimed.id])


def _ring(desk: Desk, session: Session, ids: Sequence[str]) -> None:
    """Ring for single analyses after the commit; items of batches are rung for in their turn."""
    if ids:
        after_commit(session, lambda: desk.doorbell.ring(Task.ANALYZE, ids))


def _told(desk: Desk, session: Session, settled: Sequence[Settled]) -> None:
    """Tell of rows that have got an answer, and answer those that follow them."""
    while settled:
        ids = [row.id for row in settled]
        outbox.tell_analyses(session, ids)
        for subject in {row.batch_id or row.id for row in settled}:
            desk.events.tell_after_commit(session, subject, AnalysisState.COMPLETED)
        metrics.reused_after_commit(session, [row.saved_cost for row in settled])
        settled = reuse.settle_followers(session, ids)


def max_age(desk: Desk, cache: prints.Cache) -> int | None:
    """Seconds that an answer may be older than a question with this `cache`; None where none is given."""
    return prints.seconds(cache, int(desk.settings.reuse_ttl))

"""The way of one analysis: claim, prepare, reserve, ask, check, record.

Nothing here raises to Celery: every way out is an outcome in the database, and where even that cannot be
written the lease runs out and the sweep takes over.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from core import metrics
from core.desk import Desk
from core.errors import (
    BudgetExceeded,
    InternalError,
    InvalidOutput,
    QuotaExhausted,
    Unavailable,
    VitrineError,
    WrongState,
)
from core.media import allowed_kinds
from core.pricing import likely_tokens
from core.services import fetching, outcomes, pausing
from core.services.outcomes import Answer, Claim, Closing
from worker import answers, chat, prompt
from worker.answers import EmptyReply
from worker.download import NotFetched
from worker.fetcher import Fetcher
from worker.imaging import Policy, Prepared
from worker.isolation import Isolation
from worker.leases import Leases
from worker.preparer import Preparer
from worker.prompt import Request
from worker.telling import Telling
from worker.throttle import Busy, Throttle, Turn
from worker.vision import Ask, CallFailed, Reply, Vision

MOST_ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
RECORD_SECONDS, RECORD_PAUSE = 120.0, 1.0
BEST_SIDES = {"low": 512, "auto": 1024, "high": 2048}
"""Longest side in pixels that is sent, by detail."""

log = structlog.get_logger(__name__)


class Ended(Exception):
    """An analysis ended without an answer; says what to record."""

    def __init__(
        self,
        error: VitrineError,
        closing: Closing | None = None,
        *,
        again: bool = False,
        counts: bool = True,
        received: str | None = None,
        refusal: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.closing = closing
        self.again = again
        self.counts = counts
        self.received = received
        self.refusal = refusal


class Stopping(Exception):
    """This worker asks nothing more: what it has not asked yet is for others."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply, and the closing of its call that is still to be recorded."""

    reply: Reply
    closing: Closing


class Analyzer:
    """What a worker process analyses with."""

    def __init__(
        self,
        desk: Desk,
        fetcher: Fetcher,
        preparer: Preparer,
        vision: Vision,
        throttle: Throttle,
        leases: Leases,
        name: str,
    ) -> None:
        self._desk = desk
        self._fetcher = fetcher
        self._preparer = preparer
        self._vision = vision
        self._throttle = throttle
        self._leases = leases
        self._name = name
        self._isolation = Isolation()
        self._stopping = threading.Event()

    def stop_claiming(self) -> None:
        """Take nothing more, and ask nothing more; what is asked is finished."""
        self._stopping.set()

    def analyze(self, analysis_id: str) -> None:
        """Do what the bell rang for, if it is still to be done."""
        with structlog.contextvars.bound_contextvars(analysis_id=analysis_id):
            try:
                with self._isolation.together():
                    if self._work(analysis_id) or not outcomes.waits_for_last_try(self._desk, analysis_id):
                        return
                with self._isolation.alone():
                    self._work(analysis_id, last_try=True)
            except Unavailable:
                log.warning("claim_failed")  # the sweep rings again

    def _work(self, analysis_id: str, *, last_try: bool = False) -> bool:
        """Claim and run it; whether that was possible. Raises Unavailable where it cannot be claimed."""
        if self._stopping.is_set():
            outcomes.pass_on(self._desk, analysis_id)
            return True
        claimed = outcomes.claim(self._desk, analysis_id, self._name, last_try=last_try)
        if claimed is None:
            return False
        with (
            structlog.contextvars.bound_contextvars(request_id=claimed.request_id),
            self._leases.holding(claimed),
        ):
            self._run(claimed)
        return True

    def _run(self, claimed: Claim) -> None:
        start = time.monotonic()
        try:
            answer, closing = self._answer(claimed)
            self._record(lambda: outcomes.succeed(self._desk, claimed, answer, closing))
            log.info("analysis_completed", model=claimed.model, seconds=round(time.monotonic() - start, 3))
        except WrongState:
            log.info("lease_lost")
        except BudgetExceeded as error:
            self._give_back_unpaid(claimed, error)
        except Stopping:
            self._release(claimed)
        except Ended as end:
            self._give_back(claimed, end)
        except Unavailable as error:
            self._give_back(claimed, Ended(error, again=True))
        except VitrineError as error:
            self._give_back(claimed, Ended(error))
        except Exception:
            log.exception("analysis_broke")
            self._give_back(claimed, Ended(InternalError()))

    def _answer(self, claimed: Claim) -> tuple[Answer, Closing]:
        if claimed.body is not None:
            return self._pass_on(claimed, claimed.body)
        preset = self._desk.presets.version(claimed.preset, claimed.preset_version)
        images = self._prepare(claimed)
        messages = prompt.build(preset, claimed, [image.data_url() for image in images])
        request = prompt.request(preset, claimed, messages)
        asked = self._ask(claimed, request, images, bulk=claimed.batch_id is not None)
        try:
            return answers.fit(preset, asked.reply), asked.closing
        except InvalidOutput as problem:
            self._record(lambda: outcomes.close(self._desk, claimed, asked.closing))
            messages = prompt.repair(messages, asked.reply.text, problem.message)
        except VitrineError as error:
            raise self._unfit(error, asked) from error
        # What is half paid for goes first.
        repaired = self._ask(claimed, prompt.request(preset, claimed, messages), images, bulk=False)
        try:
            return answers.fit(preset, repaired.reply), repaired.closing
        except VitrineError as error:
            raise self._unfit(error, repaired) from error

    def _pass_on(self, claimed: Claim, body: dict[str, Any]) -> tuple[Answer, Closing]:
        """A chat, or embeddings: only the images pass through our hands."""
        images = self._prepare(claimed)
        request = chat.request(claimed, body, [image.data_url() for image in images])
        asked = self._ask(claimed, request, images, bulk=claimed.batch_id is not None)
        try:
            return answers.passed_on(asked.reply), asked.closing
        except VitrineError as error:
            raise self._unfit(error, asked) from error

    def _unfit(self, error: VitrineError, asked: Asked) -> Ended:
        """A paid reply that is no answer: nothing at all may be better next time, anything else stands."""
        return Ended(error, asked.closing, again=isinstance(error, EmptyReply), received=asked.reply.text)

    def _prepare(self, claimed: Claim) -> list[Prepared]:
        """The images of an analysis. Raises Stopping where this worker was told to stop meanwhile."""
        alike = [claimed.detail] * len(claimed.digests)
        details = alike if claimed.body is None else chat.details(claimed.body)
        images = [
            self._preparer.prepare(self._desk.blobs.get(digest), self._policy(detail))
            for digest, detail in zip(self._digests(claimed), details, strict=True)
        ]
        if self._stopping.is_set():
            raise Stopping
        return images

    def _policy(self, detail: str) -> Policy:
        settings = self._desk.settings
        return Policy(
            best_side=BEST_SIDES.get(detail, BEST_SIDES["high"]),
            max_pixels=settings.max_image_pixels,
            max_bytes=settings.endpoint_image_bytes,
            formats=frozenset(kind.pillow for kind in allowed_kinds(settings.allowed_extensions)),
        )

    def _digests(self, claimed: Claim) -> list[str]:
        """SHA-256 of the images, those named by a URL fetched. Raises Ended, Stopping, WrongState."""
        known = [digest for digest in claimed.digests if digest]
        if len(known) == len(claimed.digests):
            return known
        sources = fetching.sources(self._desk, claimed)
        return [
            digest or self._fetch(claimed, position, url or "")
            for position, (digest, url) in enumerate(sources)
        ]

    def _fetch(self, claimed: Claim, position: int, url: str) -> str:
        if self._stopping.is_set():
            raise Stopping
        try:
            return self._fetcher.fetch(claimed, position, url)
        except NotFetched as failure:
            raise Ended(failure.error, again=failure.again, counts=failure.counts) from failure

    def _ask(self, claimed: Claim, request: Request, images: list[Prepared], *, bulk: bool) -> Asked:
        """One paid call: waits its turn, is in the books before it leaves. Raises Ended, or WrongState."""
        prices, model = self._desk.prices, claimed.model
        price = prices.find(model)
        sizes = [(image.width, image.height) for image in images]
        worst = prices.worst_case(model, request.text, sizes, request.most_tokens)
        tokens = likely_tokens(request.text, sizes, request.likely_tokens, price)
        try:
            with self._throttle.turn(tokens, bulk=bulk) as turn:
                call_id = outcomes.reserve(self._desk, claimed, worst, [image.report() for image in images])
                reply = self._call(call_id, claimed, request, turn)
        except Busy as busy:
            raise Ended(busy.error, again=True, counts=False) from busy
        cost = price.cost(reply.usage) if price else None
        metrics.count_usage(claimed.model, self._desk.settings.models, reply.usage, cost)
        return Asked(reply, Closing.settled(call_id, reply.usage, cost, reply.upstream_id))

    def _call(self, call_id: str, claimed: Claim, request: Request, turn: Turn) -> Reply:
        turn.left = True
        telling = Telling(self._desk.events, claimed.id, call_id)
        ask = Ask(path=request.path, parameters=request.parameters, request_id=claimed.request_id)
        try:
            reply = self._vision.stream(ask, telling.tell) if request.streamed else self._vision.ask(ask)
        except CallFailed as failure:
            turn.heard(failure.signals)
            closed = Closing.refused if failure.billed is False else Closing.unknown
            closing = closed(call_id, failure.error)
            refusal = failure.refusal if claimed.body is not None else None
            again = failure.again and not telling.has_begun  # another answer would not begin as this one did
            raise Ended(
                failure.error, closing, again=again, counts=failure.counts, refusal=refusal
            ) from failure
        if request.streamed:
            telling.tell([], last=True)
        turn.heard(reply.signals, reply.usage.prompt_tokens + reply.usage.completion_tokens or None)
        return reply

    def _give_back_unpaid(self, claimed: Claim, error: BudgetExceeded) -> None:
        """Record that nothing was asked, for a budget is used up."""
        log.info("call_unpaid", why=error.message)
        try:
            self._record(lambda: outcomes.unpaid(self._desk, claimed, error))
        except Exception:
            log.exception("outcome_broke")

    def _release(self, claimed: Claim) -> None:
        try:
            outcomes.release(self._desk, claimed, "its worker stopped")
        except Unavailable:
            log.warning("release_failed")  # the lease runs out

    def _give_back(self, claimed: Claim, end: Ended) -> None:
        """Record an end; if even that breaks, the lease runs out and the sweep takes over."""
        try:
            self._record_end(claimed, end)
        except Exception:
            log.exception("outcome_broke")

    def _record_end(self, claimed: Claim, end: Ended) -> None:
        """Another try later where that makes sense and tries are left, else a failure."""
        tries = claimed.attempts + 1
        tell = log.warning if end.counts else log.info  # waiting is no news
        tell("analysis_ended", error=end.error.code, why=end.error.message, again=end.again, tries=tries)
        if isinstance(end.error, QuotaExhausted) and claimed.batch_id is not None:
            self._record(lambda: pausing.pause_for(self._desk, claimed, end.error, end.closing))
        elif end.again and (tries < MOST_ATTEMPTS or not end.counts):
            seconds = _pause(end.error, claimed.fence)
            self._record(
                lambda: outcomes.retry(
                    self._desk, claimed, end.error, end.closing, seconds=seconds, counts=end.counts
                )
            )
        else:
            self._record(
                lambda: outcomes.fail(
                    self._desk,
                    claimed,
                    end.error,
                    end.closing,
                    received=end.received,
                    reply=end.refusal,
                )
            )

    def _record(self, write: Callable[[], None]) -> None:
        """Write an outcome; while Postgres is away keep trying, for it may be paid and late is accepted."""
        end = time.monotonic() + RECORD_SECONDS
        while True:
            try:
                return write()
            except Unavailable:
                if time.monotonic() > end:
                    log.exception("outcome_lost")  # the sweep will find the lease dead
                    return None
                time.sleep(RECORD_PAUSE)


def _pause(error: VitrineError, claims: int) -> float:
    """Seconds until the next try: what the endpoint asked for, else a random part of a doubling wait.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if error.retry_after is not None:
        return error.retry_after
    return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (min(claims, 10) - 1)))  # noqa: S311  (no secret hangs on it)

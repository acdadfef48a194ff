"""Paid calls: each waits its turn and is in the books before it leaves, in a form the endpoint takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from core import metrics
from core.desk import Desk
from core.errors import WrongState
from core.image_tokens import Counting
from core.presets.brief import Brief
from core.presets.messages import Message, told
from core.services import outcomes
from core.services.outcomes import Claim, Closing
from worker import prompt
from worker.ended import Ended
from worker.forms import Forms
from worker.imaging import Prepared
from worker.prompt import Request
from worker.recording import record
from worker.telling import ASKING, PREPARING, Teller, Telling, Unwanted
from worker.throttle import Busy, Throttle, Turn
from worker.vision import Ask, Reply, Vision
from worker.vision_errors import CallFailed, FormatRefused

NOT_WANTED = WrongState("It was cancelled while it was answered.")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply, and the closing of its call that is still to be recorded."""

    reply: Reply
    closing: Closing


class Asker:
    """Asks for one worker process."""

    def __init__(self, desk: Desk, vision: Vision, throttle: Throttle) -> None:
        self._desk = desk
        self._vision = vision
        self._throttle = throttle
        self._teller = Teller(desk.events)
        self._forms = Forms(desk.settings)

    def tell_preparing(self, claimed: Claim) -> None:
        """Its images are about to be prepared: tell that where it is followed."""
        if claimed.streamed:
            self._teller.stage(claimed.id, PREPARING)

    def ask_for(
        self, claimed: Claim, brief: Brief, messages: list[Message], images: list[Prepared], *, bulk: bool
    ) -> Asked:
        """The reply to messages, in the form that the endpoint takes. Raises Ended, or WrongState."""
        if self._forms.is_prompted(claimed.model, brief):
            return self._ask_in_words(claimed, brief, messages, images, bulk=bulk)
        request = prompt.request(claimed, messages, brief.response_format)
        try:
            return self.ask(claimed, request, images, bulk=bulk)
        except Ended as end:
            refused, closing = isinstance(end.error, FormatRefused), end.closing
            if closing is None or not refused or not self._forms.refuse(claimed.model, brief):
                raise
        log.info("format_refused", model=claimed.model, form=brief.name)
        record(lambda: outcomes.close(self._desk, claimed, closing))
        return self._ask_in_words(claimed, brief, messages, images, bulk=False)

    def ask(self, claimed: Claim, request: Request, images: list[Prepared], *, bulk: bool) -> Asked:
        """One paid call: waits its turn, is in the books before it leaves. Raises Ended, or WrongState."""
        prices, model = self._desk.prices, claimed.model
        price = prices.find(model)
        counting = prices.counting(model)
        sizes = [(image.width, image.height) for image in images]
        worst = prices.worst_case(model, request.text, sizes, request.most_tokens)
        tokens = prices.likely_tokens(model, request.text, sizes, request.likely_tokens)
        try:
            with self._throttle.turn(tokens, bulk=bulk) as turn:
                call_id = outcomes.reserve(
                    self._desk, claimed, worst, [image.report(counting) for image in images]
                )
                reply = self._call(call_id, claimed, request, turn)
        except Busy as busy:
            raise Ended(busy.error, again=True, counts=False) from busy
        cost = price.cost(reply.usage) if price else None
        metrics.count_usage(claimed.model, self._desk.settings.models, reply.usage, cost)
        settled = Closing.settled(call_id, reply.usage, cost, reply.upstream_id)
        return Asked(reply, settled.noting(saved_image_tokens=_saved(images, counting)))

    def _ask_in_words(
        self, claimed: Claim, brief: Brief, messages: list[Message], images: list[Prepared], *, bulk: bool
    ) -> Asked:
        request = prompt.request(claimed, told(messages, brief), None)
        return self.ask(claimed, request, images, bulk=bulk)

    def _call(self, call_id: str, claimed: Claim, request: Request, turn: Turn) -> Reply:
        turn.left = True
        if claimed.streamed:
            self._teller.stage(claimed.id, ASKING)
        telling = Telling(self._teller, claimed.id, call_id, with_chunks=request.with_chunks)
        ask = Ask(path=request.path, parameters=request.parameters, request_id=claimed.request_id)
        try:
            reply = self._stream(ask, telling) if request.streamed else self._vision.ask(ask)
        except Unwanted as unwanted:
            closing = Closing.unknown(call_id, NOT_WANTED)
            raise Ended(NOT_WANTED, closing, received=telling.text or None) from unwanted
        except CallFailed as failure:
            turn.heard(failure.signals)
            closed = Closing.refused if failure.billed is False else Closing.unknown
            closing = closed(call_id, failure.error)
            refusal = failure.refusal if claimed.body is not None else None
            again = failure.again and not telling.has_begun  # another answer would not begin as this one did
            received = telling.text or None
            raise Ended(
                failure.error,
                closing,
                again=again,
                counts=failure.counts,
                received=received,
                refusal=refusal,
            ) from failure
        turn.heard(reply.signals, reply.usage.prompt_tokens + reply.usage.completion_tokens or None)
        return reply

    def _stream(self, ask: Ask, telling: Telling) -> Reply:
        """The reply, told while it comes. Raises CallFailed, or Unwanted."""
        reply = self._vision.stream(ask, telling.tell)
        telling.end()
        return reply


def _saved(images: Sequence[Prepared], counting: Counting) -> int:
    """Tokens that images would have taken more as they came."""
    both = [image.tokens(counting) for image in images]
    return sum(came - goes for came, goes in both)

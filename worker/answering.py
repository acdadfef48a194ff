"""From a claimed analysis to its answer: measured, passed on, asked for, in a cascade or step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from core.desk import Desk
from core.errors import InvalidOutput, VitrineError
from core.presets.brief import Brief
from core.presets.choices import listed, narrowed
from core.presets.messages import build, hints, repair
from core.presets.preset import MEASURE
from core.services import brands, image_embeddings, near_reuse, outcomes, presets, reuse, taxonomies
from core.services.outcomes import Answer, Claim, Closing
from core.services.reuse import Answered, Given
from worker import answers, cascade, chat, choosing, embedding, finishing, inspection
from worker.answers import EmptyReply
from worker.asking import Asked, Asker
from worker.ended import Ended
from worker.images import Images
from worker.imaging import Prepared
from worker.recording import record


class Answering:
    """Answers for one worker process."""

    def __init__(self, desk: Desk, images: Images, asker: Asker) -> None:
        self._desk = desk
        self._images = images
        self._asker = asker

    def answer(self, claimed: Claim) -> tuple[Answer, Closing | None]:
        """The answer, and the closing of its call that is still to be recorded; none where nothing was asked.

        Raises Ended, Stopping, WrongState, Answered, Given, Following, or what stands in the way.
        """
        if claimed.is_answered:
            raise Answered
        if claimed.preset == image_embeddings.PRESET and claimed.body is not None:
            return self._embed(claimed)
        self._asker.tell_preparing(claimed)
        if None in claimed.digests:
            claimed = self._images.fetched(claimed)
            reuse.identify(self._desk, claimed)
        if claimed.body is not None:
            return self._pass_on(claimed, claimed.body)
        brief = presets.brief_of(self._desk, claimed)
        if claimed.require_quality:
            inspection.demand(self._images.judge(claimed, claimed.require_quality))
        if brief.method == MEASURE:
            return inspection.answer(self._images.judge(claimed, brief.options["rules"])), None
        images = self._images.prepare(claimed)
        self._demand_need(claimed, images)
        said = self._hints(claimed, brief, images)
        if brief.choices:
            return self._sorted(claimed, brief, images, said)
        if claimed.stronger_model and not claimed.first_model:
            return self._cascade(claimed, brief, images, said)
        return self._converse(claimed, brief, images, said)

    def _hints(self, claimed: Claim, brief: Brief, images: Sequence[Prepared]) -> list[str]:
        known = brands.first_names(self._desk, claimed.account_id) if brief.brand_field else ()
        return hints(brief, known, [(image.width, image.height) for image in images])

    def _pass_on(self, claimed: Claim, body: dict[str, Any]) -> tuple[Answer, Closing]:
        """A chat, or embeddings: only the images pass through our hands."""
        images = self._images.prepare(claimed)
        request = chat.request(claimed, body, [image.data_url() for image in images])
        asked = self._asker.ask(claimed, request, images, bulk=claimed.batch_id is not None)
        try:
            return answers.passed_on(asked.reply, claimed.response_format), asked.closing
        except VitrineError as error:
            raise _unfit(error, asked) from error

    def _embed(self, claimed: Claim) -> tuple[Answer, Closing | None]:
        """The embedding of an image, kept before its call is closed: no death of ours has it paid again."""
        if (known := image_embeddings.of_claim(self._desk, claimed)) is not None:
            return embedding.answer(known), None
        image = self._images.prepare_one(claimed, image_embeddings.digest_of(claimed))
        asked = self._asker.ask(claimed, embedding.request(claimed, image), [image], bulk=True)
        try:
            vector = embedding.vector(asked.reply)
        except VitrineError as error:
            raise _unfit(error, asked) from error
        record(lambda: image_embeddings.keep(self._desk, claimed, vector))
        return embedding.answer(vector), asked.closing

    def _cascade(
        self, claimed: Claim, brief: Brief, images: list[Prepared], said: list[str]
    ) -> tuple[Answer, Closing]:
        """The first model's answer where that is enough, else the stronger one's."""
        stronger = claimed.stronger_model or claimed.model
        try:
            answer, closing = self._converse(_untold(claimed), brief, images, said, repairs=False)
            why = cascade.why_stronger(brief, answer)
            if why is None:
                return answer, cascade.saving(self._desk.prices, closing, stronger)
        except Ended as end:
            if end.closing is None or not isinstance(end.error, InvalidOutput):
                raise
            closing, why = end.closing, end.error.message
        spent = cascade.wasting(closing)
        record(lambda: outcomes.escalate(self._desk, claimed, spent, why))
        claimed = replace(claimed, model=stronger, first_model=claimed.model)
        return self._converse(claimed, brief, images, said, bulk=False)

    def _demand_need(self, claimed: Claim, images: list[Prepared]) -> None:
        """Raises Given where an answer about a picture that shows the same will do, and there is one."""
        if claimed.reuses_near and claimed.cache_seconds is not None and len(images) == 1:
            [image] = images
            if near_reuse.give(self._desk, claimed, image.features):
                raise Given

    def _sorted(
        self, claimed: Claim, brief: Brief, images: list[Prepared], said: list[str]
    ) -> tuple[Answer, Closing]:
        """An answer out of a tree, step by step down its branches."""
        tree = taxonomies.tree(self._desk, claimed.account_id, brief.options[brief.choices or ""])
        below: str | None = None
        for step in count(1):
            choice = tree.choice(below)
            step_brief = narrowed(brief, choice)
            told = [*said, listed(tree, choice)]
            answer, closing = self._converse(_untold(claimed), step_brief, images, told, bulk=step == 1)
            below = choosing.chosen(answer)
            if below is None or tree.is_end(below):
                return choosing.finish(tree, answer, step), closing
            record(partial(outcomes.close, self._desk, claimed, closing))
        raise AssertionError("a tree has an end")

    def _converse(
        self,
        claimed: Claim,
        brief: Brief,
        images: list[Prepared],
        said: list[str],
        *,
        bulk: bool = True,
        repairs: bool = True,
    ) -> tuple[Answer, Closing]:
        """Ask until an answer fits, which is twice at most; once where it is not to be repaired."""
        messages = build(brief, claimed, said, [image.data_url() for image in images])
        asked = self._asker.ask_for(
            claimed, brief, messages, images, bulk=bulk and claimed.batch_id is not None
        )
        try:
            return self._finished(claimed, brief, images, asked), asked.closing
        except InvalidOutput as problem:
            if not repairs:
                raise _unfit(problem, asked) from problem
            record(lambda: outcomes.close(self._desk, claimed, asked.closing))
            messages = repair(messages, asked.reply.text, problem.message)
        except VitrineError as error:
            raise _unfit(error, asked) from error
        # What is half paid for goes first.
        repaired = self._asker.ask_for(_untold(claimed), brief, messages, images, bulk=False)
        try:
            return self._finished(claimed, brief, images, repaired), repaired.closing
        except VitrineError as error:
            raise _unfit(error, repaired) from error

    def _finished(self, claimed: Claim, brief: Brief, images: list[Prepared], asked: Asked) -> Answer:
        fitting = answers.fit(brief, asked.reply)
        return finishing.finish(self._desk, claimed, brief, images, fitting)


def _untold(claimed: Claim) -> Claim:
    """For a call whose text is, or may be, not the answer: nobody is told it piece by piece."""
    return replace(claimed, streamed=False)


def _unfit(error: VitrineError, asked: Asked) -> Ended:
    """A paid reply that is no answer: nothing at all may be better next time, anything else stands."""
    return Ended(error, asked.closing, again=isinstance(error, EmptyReply), received=asked.reply.text)

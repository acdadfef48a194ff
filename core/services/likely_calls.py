"""The calls that an item is likely to take: steps down a tree, a stronger model, answers to be mended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.desk import Desk
from core.presets.brief import Brief, brief
from core.presets.choices import levels, listed, narrowed
from core.presets.messages import REPAIR, hints
from core.pricing import text_tokens
from core.services import brands, taxonomies
from core.services.items import Item
from core.services.likely_images import LikelyImages, evenly
from core.store.experience import Asked, Experience, Known, Taken
from core.taxonomies import Tree

FRAME = 9
"""Tokens around a system's and a user's message and before the answer (OpenAI's cookbook: 3 each)."""
TEXT_ANSWER = 120
"""Tokens of an answer in words, where the account has none from the preset and model yet."""
SECONDS = 3.0
"""Of a call, likewise."""
ESCALATED, REPAIRED = 0.2, 0.02
"""The share of answers for which a stronger model is asked too, and of calls made again, likewise."""
AGAIN = text_tokens(REPAIR)
"""Tokens that a call made again has more, beside the answer that did not fit."""
MOST_CHOICES = 50
"""Of the choices of one step that stand for all of them."""


class Assumed(NamedTuple):
    """What nobody can know beforehand; None where it cannot happen."""

    steps: float | None
    """Down the tree of a taxonomy."""
    escalated: float | None
    """The share for which the stronger model is asked too."""
    repaired: float | None
    """The share of calls that are made again, since their answer does not fit."""


class Calls(NamedTuple):
    """What an item takes of one model."""

    model: str
    calls: float
    prompt: float
    """Tokens, but for the images."""
    images: float
    saved: float
    """What the images would take more as they came."""
    answer: float


class Likely(NamedTuple):
    """What an item takes."""

    asked: Asked
    images: int
    known: Known | None
    """What that is taken from; None where nothing of the sort was answered yet."""
    made: Sequence[Calls]
    seconds: float
    assumed: Assumed


class Step(NamedTuple):
    """A question of those that lead to one answer."""

    tokens: float
    """Of what is the same for all items."""
    share: float
    """How many come so far, were each category as likely as the others."""


@dataclass(frozen=True, slots=True)
class Form:
    """What all items of one form are asked."""

    brief: Brief
    steps: Sequence[Step]

    @property
    def default_answer(self) -> int:
        """Tokens: of data, about as many as its schema has."""
        return text_tokens(json.dumps(self.brief.schema)) if self.brief.schema else TEXT_ANSWER

    def shares(self, taken: Taken | None) -> list[float]:
        """How many come to each step, as far as those before them came."""
        if taken is None:
            return [step.share for step in self.steps]
        return [min(1.0, max(0.0, taken.steps - place)) for place in range(len(self.steps))]


class LikelyCalls:
    """The calls of an account's items, by what its earlier answers took."""

    def __init__(self, desk: Desk, account_id: str, images: LikelyImages, known: Experience) -> None:
        self._desk = desk
        self._account_id = account_id
        self._images = images
        self._known = known
        self._forms: dict[str, Form] = {}

    def of(self, item: Item) -> Likely:
        """What an item is likely to take. Raises NotFound where its taxonomy is gone by now."""
        asked, form = Asked.of(item), self._form(item)
        known = self._known.of(asked, len(item.images))
        taken = known and known.taken
        shares = form.shares(known.taken if known and known.is_same else None)
        assumed = _assumed(item, sum(shares), taken)
        made = list(self._made(item, form, shares, assumed, taken))
        seconds = taken.seconds if taken else SECONDS * sum(each.calls for each in made)
        return Likely(asked, len(item.images), known, made, seconds, assumed)

    def _made(
        self, item: Item, form: Form, shares: Sequence[float], assumed: Assumed, taken: Taken | None
    ) -> Iterator[Calls]:
        said = text_tokens("\n".join(form.brief.said(item.question, item.context)))
        repaired, answer = assumed.repaired or 0.0, _answer(form, taken)
        prompt = sum(share * (step.tokens + said) for share, step in zip(shares, form.steps, strict=True))
        steps = sum(shares)
        if item.stronger_model is None:
            yield self._calls(item, item.model, steps, prompt, answer, repaired)
            return
        yield self._calls(item, item.model, steps, prompt, answer, 0.0)
        escalated = assumed.escalated or 0.0
        stronger = taken.stronger_tokens / taken.stronger_calls if taken and taken.stronger_calls else answer
        yield self._calls(item, item.stronger_model, escalated, escalated * prompt, stronger, repaired)

    def _calls(
        self, item: Item, model: str, calls: float, prompt: float, answer: float, repaired: float
    ) -> Calls:
        """So many calls of a model, and what is made again of them."""
        answer, times = min(answer, item.max_tokens), 1 + repaired
        again = calls * repaired * (answer + AGAIN)
        sent, came = self._images.tokens(item, model)
        calls *= times
        return Calls(
            model, calls, prompt * times + again, calls * sent, calls * (came - sent), calls * answer
        )

    def _form(self, item: Item) -> Form:
        said = [item.preset.id, item.preset.name, item.preset_options, item.response_format]
        key = json.dumps(said)
        if key not in self._forms:
            made = brief(item.preset, item.preset_options, item.response_format)
            self._forms[key] = Form(made, list(self._steps(made)))
        return self._forms[key]

    def _steps(self, made: Brief) -> Iterator[Step]:
        known = brands.first_names(self._desk, self._account_id) if made.brand_field else ()
        said = hints(made, known, [None])
        if not made.choices:
            yield Step(_fixed(made, said), 1.0)
            return
        tree = taxonomies.tree(self._desk, self._account_id, made.options[made.choices])
        for level in levels(tree):
            yield Step(_mean_choice(made, said, tree, level), sum(level.values()))


def _mean_choice(made: Brief, said: Sequence[str], tree: Tree, level: Mapping[str | None, float]) -> float:
    """Tokens of what is the same for all items in a step, whichever branch it is below."""
    branches = evenly(list(level.items()), MOST_CHOICES)
    tokens = 0.0
    for below, share in branches:
        choice = tree.choice(below)
        tokens += share * _fixed(narrowed(made, choice), [*said, listed(tree, choice)])
    return tokens / sum(share for _, share in branches)


def _assumed(item: Item, steps: float, taken: Taken | None) -> Assumed:
    escalated = repaired = None
    if item.stronger_model is not None:
        escalated = taken.escalated if taken else ESCALATED
    if item.preset.schema is not None or item.response_format is not None:
        repaired = _repaired(item, taken) if taken else REPAIRED
    return Assumed(steps if item.preset.choices else None, escalated, repaired)


def _repaired(item: Item, taken: Taken) -> float:
    """The share of calls that were made again; of a cascade, those of its stronger model."""
    if taken.escalated:
        return max(0.0, taken.stronger_calls / taken.escalated - 1)
    return max(0.0, taken.calls / (taken.steps if item.preset.choices else 1) - 1)


def _answer(form: Form, taken: Taken | None) -> float:
    return taken.tokens / taken.calls if taken else form.default_answer


def _fixed(made: Brief, hinted: Sequence[str]) -> int:
    """Tokens of what is the same for every item."""
    form = made.response_format
    texts = [made.prompt, *hinted, *([json.dumps(form)] if form else [])]
    return FRAME + sum(text_tokens(text) for text in texts)

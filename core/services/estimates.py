"""What a submission would take, in tokens, money and time, without running it.

The text is counted by its bytes, the images by the table of how providers count, at the size that they would
be sent at, and answers as long as the account's latest of the same sort.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.desk import Desk
from core.presets.brief import Brief, brief
from core.presets.preset import MEASURE
from core.pricing import Cost, Usage, text_tokens
from core.services import likely_images, reuse
from core.services.fleet import SEEN_WITHIN
from core.services.items import Item
from core.services.likely_images import LikelyImages
from core.store import experience, files, workers
from core.store.experience import Asked, Experience, Taken

FRAME = 9
"""Tokens around a system's and a user's message and before the answer (OpenAI's cookbook: 3 each)."""
TEXT_ANSWER = 120
"""Tokens of an answer in words, where the account has none from the preset and model yet."""
SECONDS = 3.0
"""Of a call, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is to be expected."""

    items: int
    calls: int
    cached: int
    """That would be given the answer of another, for nothing."""
    usage: Usage
    cost: Cost | None
    """None where a model has no price."""
    saved_image_tokens: int
    """What the images would take more as they came."""
    seconds: float | None
    """None where no worker is there."""
    images: int
    images_measured: int
    """Whose size is known; the others are taken to be like them."""
    answers: int
    """That the account has to these very questions."""
    warnings: Sequence[str]
    """Why it may be far off, as sentences."""
    not_counted: list[str]
    """What may make the run dearer or cheaper than this: the names of NOT_COUNTED that hold for any item."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What one item takes."""

    asked: Asked
    prompt: float
    images: float
    saved: float
    answer: float
    seconds: float


def estimate(desk: Desk, account_id: str, items: Sequence[Item]) -> Estimate:
    """What these items would take. Raises Unavailable."""
    asked = [item for item in items if item.preset.method != MEASURE]
    with desk.database.transaction() as session:
        paid = reuse.to_pay(session, account_id, asked)
        sorts = {Asked.of(item).kin for item in paid}
        known = experience.taken(session, account_id, sorts)
        slots = workers.slots(session, SEEN_WITHIN)
        limits = [worker.endpoint for worker in workers.seen(session, SEEN_WITHIN)]
        sample = files.owned(session, account_id, likely_images.sampled(asked))
    likely = LikelyImages(desk, asked, sample)
    calls = list(_calls(paid, likely, known))
    usage = Usage(
        prompt_tokens=round(sum(call.prompt + call.images for call in calls)),
        completion_tokens=round(sum(call.answer for call in calls)),
        image_tokens=round(sum(call.images for call in calls)),
    )
    seen = likely.known(asked)
    return Estimate(
        items=len(items),
        calls=len(calls),
        cached=len(asked) - len(paid),
        usage=usage,
        cost=_cost(desk, calls),
        saved_image_tokens=round(sum(call.saved for call in calls)),
        seconds=_seconds(desk, calls, slots, limits),
        images=len(seen),
        images_measured=sum(seen),
        answers=sum(
            known.same[asked].answers for asked in {call.asked for call in calls} & known.same.keys()
        ),
        warnings=_warnings(calls, known),
        not_counted=[name for name, holds in NOT_COUNTED.items() if any(map(holds, paid))],
    )


def _calls(items: Sequence[Item], likely: LikelyImages, known: Experience) -> Iterator[_Call]:
    briefs: dict[str, tuple[Brief, int]] = {}
    for item in items:
        form = json.dumps([item.preset.id, item.preset.name, item.preset_options, item.response_format])
        if form not in briefs:
            made = brief(item.preset, item.preset_options, item.response_format)
            briefs[form] = made, _fixed(made)
        made, fixed = briefs[form]
        said = "\n".join(made.said(item.question, item.context))
        images, came = likely.tokens(item)
        asked = Asked.of(item)
        usual = Taken(0, _default_answer(made), SECONDS)
        taken = known.same.get(asked) or known.alike.get(asked.kin) or usual
        answer = min(taken.completion_tokens, item.max_tokens)
        yield _Call(asked, fixed + text_tokens(said), images, came - images, answer, taken.seconds)


def _warnings(calls: Sequence[_Call], known: Experience) -> list[str]:
    """What the lengths of answers are taken from, where it is not from answers to the same questions."""
    new = [call for call in calls if call.asked not in known.same]
    if not new:
        return []
    count = "" if len(new) == len(calls) else f" to {len(new):,} of {len(calls):,} questions"
    alike = any(call.asked.kin in known.alike for call in new)
    guess = "taken from answers to other questions" if alike else "a guess"
    return [f"There are no answers of this sort yet{count}: how long they will be is {guess}."]


def _may_be_repaired(item: Item) -> bool:
    return item.preset.schema is not None or item.response_format is not None


NOT_COUNTED: dict[str, Callable[[Item], Any]] = {
    "reuse": lambda item: item.reuses_near or (item.cache_seconds and not item.fingerprint),
    "repairs": _may_be_repaired,
    "stronger_model": lambda item: item.stronger_model,
    "taxonomy": lambda item: item.preset.choices,
}


def _fixed(made: Brief) -> int:
    """Tokens of what every item of a form has."""
    form = made.response_format
    return FRAME + text_tokens(made.prompt) + (text_tokens(json.dumps(form)) if form else 0)


def _default_answer(made: Brief) -> int:
    """Tokens: of data, about as many as its schema has."""
    return text_tokens(json.dumps(made.schema)) if made.schema else TEXT_ANSWER


def _cost(desk: Desk, calls: Iterable[_Call]) -> Cost | None:
    prompt = completion = Decimal()
    for call in calls:
        price = desk.prices.find(call.asked.model)
        if price is None:
            return None
        usage = Usage(prompt_tokens=round(call.prompt + call.images), completion_tokens=round(call.answer))
        cost = price.cost(usage)
        prompt, completion = prompt + cost.prompt, completion + cost.completion
    return Cost(prompt, completion)


def _seconds(
    desk: Desk, calls: Sequence[_Call], slots: int, limits: Sequence[dict[str, Any]]
) -> float | None:
    """By the workers that are there, and the limits of the endpoint that are set or were learned."""
    if not calls or not slots:
        return None if calls else 0.0
    settings, busy = desk.settings, sum(call.seconds for call in calls)
    learned = {
        name: max((report.get(name) or 0 for report in limits), default=0)
        for name in ("requests_per_minute", "tokens_per_minute")
    }
    requests = settings.endpoint_requests_per_minute or learned["requests_per_minute"]
    tokens = settings.endpoint_tokens_per_minute or learned["tokens_per_minute"]
    used = sum(call.prompt + call.images + call.answer for call in calls)
    waits = [60 * len(calls) / requests if requests else 0.0, 60 * used / tokens if tokens else 0.0]
    return max(busy / slots, busy / len(calls), *waits)

"""What a submission would take, in tokens, money and time, without running it.

The text is counted by its bytes, the images by the table of how providers count, at the size that they would
be sent at, and answers as long, and as many calls, as the account's latest of the same sort took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from core.desk import Desk
from core.models import Worker
from core.presets.preset import MEASURE
from core.pricing import Cost, Usage
from core.services import doubts, image_embeddings, likely_images, reuse
from core.services.files import Upload
from core.services.fleet import SEEN_WITHIN
from core.services.items import Item
from core.services.likely_calls import Assumed, Calls, Likely, LikelyCalls
from core.services.likely_images import LikelyImages
from core.store import embeddings, experience, files, workers
from core.store.experience import Asked

START = 2.0
"""Seconds that a run of any size takes more: until workers have it, and have prepared its first images."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What the endpoint's embeddings of the images would take, beside the submission and its cost."""

    calls: int
    usage: Usage
    cost: Cost | None
    """None where the model has no price."""


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
    embeddings: Embeddings | None
    """None where no model is set for them."""
    saved_image_tokens: int
    """What the images would take more as they came."""
    seconds: float | None
    """None where no worker is there."""
    images: int
    images_measured: int
    """Whose size is known; the others are taken to be like them."""
    answers: int
    """That the account has to these very questions."""
    assumed: Assumed
    """Means of the items that it holds for."""
    warnings: Sequence[str]
    """Why it may be far off, as sentences."""
    not_counted: list[str]
    """What may make the run cheaper than this: the names of NOT_COUNTED that hold for any item."""


def estimate(desk: Desk, account_id: str, items: Sequence[Item]) -> Estimate:
    """What these items would take. Raises Unavailable; NotFound for a taxonomy that is just gone."""
    asked = [item for item in items if item.preset.method != MEASURE]
    with desk.database.transaction() as session:
        paid = reuse.to_pay(session, account_id, asked)
        known = experience.taken(session, account_id, {Asked.of(item).kin for item in paid})
        there = workers.seen(session, SEEN_WITHIN)
        sample = files.owned(session, account_id, likely_images.sampled(asked))
        new = _new_images(desk, session, account_id, paid)
    images = LikelyImages(desk, asked, sample)
    of = LikelyCalls(desk, account_id, images, known).of
    likely = [of(item) for item in paid]
    made = [calls for each in likely for calls in each.made]
    seen = images.known(asked)
    return Estimate(
        items=len(items),
        calls=round(sum(calls.calls for calls in made)),
        cached=len(asked) - len(paid),
        usage=_usage(made),
        cost=_cost(desk, made),
        embeddings=_embeddings(desk, images, new),
        saved_image_tokens=round(sum(calls.saved for calls in made)),
        seconds=_seconds(desk, likely, made, there),
        images=len(seen),
        images_measured=sum(seen),
        answers=_answers(likely),
        assumed=_means([each.assumed for each in likely]),
        warnings=[*doubts.lengths(likely), *doubts.counting(desk, made)],
        not_counted=[name for name, holds in NOT_COUNTED.items() if any(map(holds, paid))],
    )


def _answers(likely: Sequence[Likely]) -> int:
    """How many answers to the very same questions stand for those to come, each counted once."""
    same = {(each.asked, each.known) for each in likely if each.known and each.known.is_same}
    return sum(known.taken.answers for _, known in same)


NOT_COUNTED: dict[str, Callable[[Item], Any]] = {
    "reuse": lambda item: item.cache_seconds and (item.reuses_near or not item.fingerprint),
}


def _usage(made: Iterable[Calls]) -> Usage:
    made = list(made)
    return Usage(
        prompt_tokens=round(sum(calls.prompt + calls.images for calls in made)),
        completion_tokens=round(sum(calls.answer for calls in made)),
        image_tokens=round(sum(calls.images for calls in made)),
    )


def _cost(desk: Desk, made: Iterable[Calls]) -> Cost | None:
    prompt = completion = Decimal()
    for calls in made:
        price = desk.prices.find(calls.model)
        if price is None:
            return None
        cost = price.cost(_usage([calls]))
        prompt, completion = prompt + cost.prompt, completion + cost.completion
    return Cost(prompt, completion)


def _means(assumed: Sequence[Assumed]) -> Assumed:
    """Each by itself, of those that it holds for."""
    return Assumed(*(_mean(each[place] for each in assumed) for place in range(len(Assumed._fields))))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _new_images(desk: Desk, session: Session, account_id: str, paid: Iterable[Item]) -> int:
    """How many images would be embedded; those that nobody has seen are each taken to be another."""
    model = desk.settings.similar_embedding_model
    if not model:
        return 0
    images = [image for item in paid for image in item.images]
    digests = {image.digest for image in images if isinstance(image, Upload)}
    ids = {image for image in images if isinstance(image, str)}
    unseen = [image for image in images if not isinstance(image, Upload | str)]
    return embeddings.count_new(session, account_id, model, digests, ids) + len(unseen)


def _embeddings(desk: Desk, images: LikelyImages, count: int) -> Embeddings | None:
    model = desk.settings.similar_embedding_model
    if not model:
        return None
    tokens = count * images.usual(model, image_embeddings.DETAIL, image_embeddings.TOLD) if count else 0.0
    made = [Calls(model, count, 0, tokens, 0, 0)]
    return Embeddings(count, _usage(made), _cost(desk, made))


def _seconds(
    desk: Desk, likely: Sequence[Likely], made: Sequence[Calls], there: Sequence[Worker]
) -> float | None:
    """By the workers that are there, and the limits of the endpoint that are set or were learned."""
    if not likely or not there:
        return None if likely else 0.0
    settings, busy = desk.settings, sum(each.seconds for each in likely)
    learned = {
        name: max(worker.endpoint.get(name) or 0 for worker in there)
        for name in ("requests_per_minute", "tokens_per_minute")
    }
    requests = settings.endpoint_requests_per_minute or learned["requests_per_minute"]
    tokens = settings.endpoint_tokens_per_minute or learned["tokens_per_minute"]
    asked = sum(calls.calls for calls in made)
    used = sum(calls.prompt + calls.images + calls.answer for calls in made)
    waits = [60 * asked / requests if requests else 0.0, 60 * used / tokens if tokens else 0.0]
    return START + max(busy / sum(worker.slots for worker in there), busy / len(likely), *waits)

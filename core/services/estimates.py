"""What a submission would take, in tokens, money and time, without running it.

The text is counted by its bytes, the images by the table of how providers count, at the size that they would
be sent at, and answers as long as the account's latest of the same sort. Of files that are stored, only the
beginnings are read, and of many files only some.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import mean
from typing import Any

from core.desk import Desk
from core.errors import NotFound
from core.image_header import HEAD, size_of
from core.image_sizes import Sizing
from core.models import File
from core.presets.brief import Brief, brief
from core.presets.preset import MEASURE
from core.pricing import Cost, Usage, text_tokens
from core.services.files import Upload
from core.services.fleet import SEEN_WITHIN
from core.services.items import Item, Measured
from core.store import experience, files, workers
from core.store.experience import Asked, Taken

FRAME = 9
"""Tokens around a system's and a user's message and before the answer (OpenAI's cookbook: 3 each)."""
TEXT_ANSWER = 120
"""Tokens of an answer in words, where the account has none of the sort yet."""
SECONDS = 3.0
"""Of a call, likewise."""
MOST_LOOKED_AT = 400
"""Stored images whose sizes are looked up; the others are taken to be like them."""
UNKNOWN_SIZE = (1600, 1200)
"""px of an image that nobody has seen, such as one behind a URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is to be expected."""

    items: int
    calls: int
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
    """That the account has of these sorts; none means that lengths are the documented defaults."""
    not_counted: list[str]
    """What may make the run dearer or cheaper than this: the names of NOT_COUNTED that hold for any item."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """An image that is known by its size."""

    size: tuple[int, int]
    is_jpeg: bool


Pictures = Mapping[int | str, _Picture]
"""Those that are known, by file id or, where there is none yet, by identity."""


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
    paid = [item for item in items if item.preset.method != MEASURE]
    sorts = {_sort(item) for item in paid}
    with desk.database.transaction() as session:
        known = experience.taken(session, account_id, sorts) if sorts else {}
        slots = workers.slots(session, SEEN_WITHIN)
        limits = [worker.endpoint for worker in workers.seen(session, SEEN_WITHIN)]
        sample = files.owned(session, account_id, _sampled(paid))
    pictures = _pictures(desk, paid, sample)
    calls = list(_calls(desk, paid, pictures, known))
    usage = Usage(
        prompt_tokens=round(sum(call.prompt + call.images for call in calls)),
        completion_tokens=round(sum(call.answer for call in calls)),
        image_tokens=round(sum(call.images for call in calls)),
    )
    seen = [_key(image) in pictures for item in paid for image in item.images]
    return Estimate(
        items=len(items),
        calls=len(calls),
        usage=usage,
        cost=_cost(desk, calls),
        saved_image_tokens=round(sum(call.saved for call in calls)),
        seconds=_seconds(desk, calls, slots, limits),
        images=len(seen),
        images_measured=sum(seen),
        answers=sum(taken.answers for taken in known.values()),
        not_counted=[name for name, holds in NOT_COUNTED.items() if any(map(holds, paid))],
    )


def _calls(
    desk: Desk, items: Sequence[Item], pictures: Pictures, known: Mapping[Asked, Taken]
) -> Iterator[_Call]:
    briefs: dict[str, tuple[Brief, int]] = {}
    likely = _Likely(desk, pictures)
    for item in items:
        form = json.dumps([item.preset.id, item.preset.name, item.preset_options, item.response_format])
        if form not in briefs:
            made = brief(item.preset, item.preset_options, item.response_format)
            briefs[form] = made, _fixed(made)
        made, fixed = briefs[form]
        said = "\n".join(made.said(item.question, item.context))
        images, came = likely.tokens(item)
        taken = known.get(_sort(item)) or Taken(0, _default_answer(made), SECONDS)
        answer = min(taken.completion_tokens, item.max_tokens)
        yield _Call(_sort(item), fixed + text_tokens(said), images, came - images, answer, taken.seconds)


class _Likely:
    """The tokens of the images of items; those of unknown size take the mean of the others alike."""

    def __init__(self, desk: Desk, pictures: Pictures) -> None:
        self._desk = desk
        self._pictures = pictures
        self._usual = Counter(pictures.values()) or Counter([_Picture(UNKNOWN_SIZE, is_jpeg=True)])
        self._means: dict[Sizing, tuple[float, float]] = {}

    def tokens(self, item: Item) -> tuple[float, float]:
        """What the images of an item take: as they are sent, and as they came."""
        counting = self._desk.prices.counting(item.model)
        sizing = Sizing(counting.rule, item.detail, item.max_image_tokens)
        found = [self._pictures.get(_key(image)) for image in item.images]
        both = [_tokens(sizing, picture) if picture else self._mean(sizing) for picture in found]
        return sum(sent for sent, _ in both), sum(came for _, came in both)

    def _mean(self, sizing: Sizing) -> tuple[float, float]:
        if sizing not in self._means:
            both = [_tokens(sizing, picture) for picture in self._usual.elements()]
            self._means[sizing] = mean(sent for sent, _ in both), mean(came for _, came in both)
        return self._means[sizing]


def _tokens(sizing: Sizing, picture: _Picture) -> tuple[float, float]:
    sent = sizing.size(*picture.size, is_jpeg=picture.is_jpeg)
    return sizing.see(*sent).tokens, sizing.see(*picture.size).tokens


def _pictures(desk: Desk, items: Sequence[Item], sample: Mapping[str, File]) -> Pictures:
    images = {_key(image): image for item in items for image in item.images}
    found = {key: _picture(desk, image, sample) for key, image in images.items()}
    return {key: picture for key, picture in found.items() if picture}


def _key(image: Any) -> int | str:
    return image if isinstance(image, str) else id(image)


def _picture(desk: Desk, image: Any, sample: Mapping[str, File]) -> _Picture | None:
    if isinstance(image, Measured):
        return _Picture((image.width, image.height), is_jpeg=True)
    if isinstance(image, Upload):
        image.content.seek(0)
        return _looked_at(image.content.read(HEAD))
    return _stored(desk, sample[image]) if image in sample else None


def _stored(desk: Desk, file: File) -> _Picture | None:
    try:
        return _looked_at(b"".join(desk.blobs.pieces(file.digest, 0, min(HEAD, file.byte_size))))
    except NotFound:
        return None


def _looked_at(head: bytes) -> _Picture | None:
    size = size_of(head)
    return _Picture(size, head.startswith(b"\xff\xd8\xff")) if size else None


def _sampled(items: Sequence[Item]) -> list[str]:
    """Ids of stored files to look at, evenly out of all."""
    ids = list(dict.fromkeys(image for item in items for image in item.images if isinstance(image, str)))
    return ids[:: -(-len(ids) // MOST_LOOKED_AT)] if ids else []


def _sort(item: Item) -> Asked:
    return Asked(item.preset.name, item.model, item.response_format is not None)


def _may_be_repaired(item: Item) -> bool:
    return item.preset.schema is not None or item.response_format is not None


NOT_COUNTED: dict[str, Callable[[Item], Any]] = {
    "reuse": lambda item: item.cache_seconds or item.reuses_near,
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

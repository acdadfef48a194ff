"""What the images of a submission that is only estimated are likely to take of their models.

Sizes are told by how bytes begin, and nothing is decoded. Those that nobody has seen, such as of images by
URL, are taken to be like the others; and so are those beyond what can be counted within a request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from core.desk import Desk
from core.errors import NotFound
from core.image_header import HEAD, size_of
from core.image_sizes import Sizing
from core.models import File
from core.services.files import Upload
from core.services.item_images import Measured
from core.services.items import Item

MOST_LOOKED_AT = 400
"""Stored images whose sizes are looked up."""
MOST_COUNTED = 2_000
"""Sizes, each once for every model and detail: a second or two of CPU, at up to 1 ms each."""
ENOUGH_ALIKE = 100
"""Sizes that stand for all where no image is known of those that are sent the same way."""
UNKNOWN_SIZE = (1600, 1200)
"""px of an image where none is known."""

T = TypeVar("T")


class Picture(NamedTuple):
    """An image that is known by its size in px."""

    width: int
    height: int
    is_jpeg: bool


class Tokens(NamedTuple):
    """What images take."""

    sent: float
    came: float
    """As they came, had they been sent so."""


class Way(NamedTuple):
    """What decides, beside its size, how an image is sent and counted."""

    model: str
    detail: str
    max_image_tokens: int | None
    counted_by: str
    """The model that looks at it: the same, or one that is asked after it."""
    told: str
    """The detail that the endpoint goes by: the same, or its own where none is sent."""


class LikelyImages:
    """The images of items, as far as they are known."""

    def __init__(self, desk: Desk, items: Sequence[Item], stored: Mapping[str, File]) -> None:
        """`stored` are the files that may be looked at, by id."""
        self._prices = desk.prices
        images = {_key(image): image for item in items for image in item.images}
        found = {key: _picture(desk, image, stored) for key, image in images.items()}
        self._pictures = {key: picture for key, picture in found.items() if picture}
        self._sizings: dict[Way, Sizing] = {}
        self._counted: dict[Way, dict[Picture, Tokens]] = {}
        self._means: dict[Way, Tokens] = {}
        self._left = MOST_COUNTED
        self._pairs = Counter(self._paired(items))
        for way, picture in evenly(list(self._pairs), MOST_COUNTED):
            self._count(way, picture)

    def tokens(self, item: Item, model: str) -> Tokens:
        """What the images of an item take together of this model, its first or its stronger one."""
        way = _way(item, model)
        pictures = [self._pictures.get(_key(image)) for image in item.images]
        found = [(picture and self._count(way, picture)) or self._mean(way) for picture in pictures]
        return Tokens(sum(each.sent for each in found), sum(each.came for each in found))

    def usual(self, model: str, detail: str, told: str) -> float:
        """Tokens that an image like these takes of another model, made for one detail and told another."""
        return self._mean(Way(model, detail, None, model, told)).sent

    def known(self, items: Iterable[Item]) -> list[bool]:
        """Of each image, whether its size is known."""
        return [_key(image) in self._pictures for item in items for image in item.images]

    def _paired(self, items: Iterable[Item]) -> Iterator[tuple[Way, Picture]]:
        ways = ((_way(item, model), item) for item in items for model in models_asked(item))
        found = ((way, self._pictures.get(_key(image))) for way, item in ways for image in item.images)
        return ((way, picture) for way, picture in found if picture)

    def _count(self, way: Way, picture: Picture) -> Tokens | None:
        """What a picture takes; None where as many others have been counted as there may be."""
        counted = self._counted.get(way, {})
        if picture in counted or not self._left:
            return counted.get(picture)
        self._left -= 1
        sizing = self._sizing(way)
        sent = sizing.size(picture.width, picture.height, is_jpeg=picture.is_jpeg)
        see = replace(sizing, rule=self._prices.counting(way.counted_by).rule, detail=way.told).see
        tokens = Tokens(see(*sent).tokens, see(picture.width, picture.height).tokens)
        return self._counted.setdefault(way, counted).setdefault(picture, tokens)

    def _sizing(self, way: Way) -> Sizing:
        if way not in self._sizings:
            rule = self._prices.counting(way.model).rule
            self._sizings[way] = Sizing(rule, way.detail, way.max_image_tokens)
        return self._sizings[way]

    def _mean(self, way: Way) -> Tokens:
        """What an image takes that is like those sent the same way, or else like all others."""
        if way not in self._counted and self._left:
            for picture in self._usual:
                self._count(way, picture)
        if way not in self._counted:
            return self._mean_of_all
        if way not in self._means:
            self._means[way] = _mean(
                (tokens, self._pairs[way, picture] or 1) for picture, tokens in self._counted[way].items()
            )
        return self._means[way]

    @cached_property
    def _usual(self) -> list[Picture]:
        known = list(self._pictures.values()) or [Picture(*UNKNOWN_SIZE, is_jpeg=True)]
        return evenly(known, ENOUGH_ALIKE)

    @cached_property
    def _mean_of_all(self) -> Tokens:
        return _mean((tokens, 1) for counted in self._counted.values() for tokens in counted.values())


def sampled(items: Sequence[Item]) -> list[str]:
    """Ids of stored files to look at, evenly out of all."""
    ids = dict.fromkeys(image for item in items for image in item.images if isinstance(image, str))
    return evenly(list(ids), MOST_LOOKED_AT)


def evenly(values: list[T], most: int) -> list[T]:
    """At most so many of the values, evenly out of all."""
    return values[:: -(-len(values) // most)] if values else values


def models_asked(item: Item) -> list[str]:
    """The model that an item asks, and the stronger one of a cascade."""
    return [item.model, *filter(None, [item.stronger_model])]


def _way(item: Item, model: str) -> Way:
    return Way(item.model, item.detail, item.max_image_tokens, model, item.detail)


def _mean(weighed: Iterable[tuple[Tokens, int]]) -> Tokens:
    pairs = list(weighed)
    total = sum(weight for _, weight in pairs)
    return Tokens(
        sum(tokens.sent * weight for tokens, weight in pairs) / total,
        sum(tokens.came * weight for tokens, weight in pairs) / total,
    )


def _key(image: Any) -> int | str:
    return image if isinstance(image, str) else id(image)


def _picture(desk: Desk, image: Any, stored: Mapping[str, File]) -> Picture | None:
    if isinstance(image, Measured):
        return Picture(image.width, image.height, is_jpeg=True)
    if isinstance(image, Upload):
        image.content.seek(0)
        return _looked_at(image.content.read(HEAD))
    return _of_file(desk, stored[image]) if image in stored else None


def _of_file(desk: Desk, file: File) -> Picture | None:
    try:
        return _looked_at(b"".join(desk.blobs.pieces(file.digest, 0, min(HEAD, file.byte_size))))
    except NotFound:
        return None


def _looked_at(head: bytes) -> Picture | None:
    size = size_of(head)
    return Picture(*size, is_jpeg=head.startswith(b"\xff\xd8\xff")) if size else None

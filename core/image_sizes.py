"""At which size an image is sent: where the model's tokens stop paying.

A token pays while it shows the model as many pixels as the others do. So of the sizes that a `detail`
allows, those that give fewer pixels for a token are left out (such as a row of tiles that is hardly begun),
and what the model would shrink by itself is not sent at all. Of what is left, a size that the decoder makes
for nothing is taken first. Where a little smaller takes half of the tokens, it is sent a little smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from core.image_rules import Rule, Seen

DETAILS = ("auto", "low", "high", "max")
SMALLEST_SIDE = 64
"""px: below this there is nothing left to ask about."""
SMALL_SIDE = 512
"""px: up to this an image is left as it is, where it takes few enough tokens and less does not halve them."""
PAYS = 0.95
"""A size whose tokens show so much of what the best tokens show is as good as the best."""
STEP = 4
"""px between the sizes that are tried; a twentieth of a tile is soon enough."""
EIGHTHS = (8, 4, 3, 2, 1)
"""To which JPEGs are decoded for nothing; of other formats, whole-number averages take the least."""
MOST_AVERAGED = 32


class Span(NamedTuple):
    """How large a `detail` sends."""

    best: int
    """px of the longer side."""
    least: float
    """How much smaller it may come out, as a share of that."""
    most: float
    """How much larger, where that takes no more tokens."""
    halved: float
    """How much smaller, where that takes half of the tokens or less."""


SPANS = {
    # Of Gemini 2, 512 px take four times as much as 384.
    "low": Span(512, 0.95, 1.0, 0.73),
    # A photo of 6,000 px becomes 750 px, and one of 5,184 px 1,296 px, without a second resampling.
    "auto": Span(1024, 0.73, 1.3, 0.73),
    "high": Span(2048, 0.95, 1.0, 0.95),
    "max": Span(4096, 0.95, 1.0, 0.95),
}


@dataclass(frozen=True, slots=True)
class Sizing:
    """Chooses the size for a model."""

    rule: Rule
    detail: str = "auto"
    most_tokens: int | None = None
    """That an image may take."""

    @property
    def span(self) -> Span:
        """What the detail allows; as `high`, where a client names another that its provider knows."""
        return SPANS.get(self.detail, SPANS["high"])

    def see(self, width: int, height: int) -> Seen:
        """What the model makes of an image that is sent at this size; what it enlarges shows no more."""
        seen = self.rule.see(width, height, self.detail)
        return Seen(min(width, seen.width), min(height, seen.height), seen.tokens)

    def size(self, width: int, height: int, *, is_jpeg: bool = False) -> tuple[int, int]:
        """The size in px at which an image of this size is sent: at least 1 by 1, never enlarged."""
        return _chosen(self, width, height, is_jpeg)


@lru_cache(maxsize=4_096)
def _chosen(sizing: Sizing, width: int, height: int, is_jpeg: bool) -> tuple[int, int]:
    whole = (width, height)
    if max(whole) <= SMALL_SIDE and _fits(sizing, sizing.see(*whole)):
        return _halved(sizing, whole, whole, max(whole))
    best_side = min(max(whole), sizing.span.best)
    seen = sizing.see(*scaled(*whole, best_side))
    # What the model itself would shrink away is not sent.
    top = min(best_side, max(SMALLEST_SIDE, round(max(seen.width, seen.height))))
    sides = range(top, min(top, round(top * sizing.span.least)) - 1, -STEP)
    sizes = [scaled(*whole, side) for side in sides]
    paying = _paying(sizing, sizes)
    if not paying:
        return _within(sizing, whole, sides[-1])
    chosen = max(paying, key=lambda size: (paying[size].pixels, -size[0]))
    return _halved(sizing, whole, next(_free(sizing, whole, chosen, top, is_jpeg), chosen), top)


def _halved(sizing: Sizing, whole: tuple[int, int], size: tuple[int, int], top: int) -> tuple[int, int]:
    """The largest size that is little smaller and takes half of the tokens or less; without one, the size."""
    most, least = sizing.see(*size).tokens // 2, max(SMALLEST_SIDE, round(top * sizing.span.halved))
    if least > max(size) or sizing.see(*scaled(*whole, least)).tokens > most:
        return size
    smaller = (scaled(*whole, side) for side in range(max(size), least - 1, -STEP))
    return next((each for each in smaller if sizing.see(*each).tokens <= most), scaled(*whole, least))


def _paying(sizing: Sizing, sizes: list[tuple[int, int]]) -> dict[tuple[int, int], Seen]:
    """Those of the sizes whose tokens show as much as the best, of those that take few enough."""
    seen = {size: sizing.see(*size) for size in sizes}
    few = {size: one for size, one in seen.items() if _fits(sizing, one)}
    best = max((_worth(one) for one in few.values()), default=0.0)
    return {size: one for size, one in few.items() if _worth(one) >= PAYS * best}


def _free(
    sizing: Sizing, whole: tuple[int, int], chosen: tuple[int, int], top: int, is_jpeg: bool
) -> Iterator[tuple[int, int]]:
    """Sizes that need no second resampling, the largest first, which are as good as the chosen one."""
    one = sizing.see(*chosen)
    for size in free_sizes(whole, is_jpeg=is_jpeg):
        if not top * sizing.span.least <= max(size) <= top * sizing.span.most:
            continue
        seen = sizing.see(*size)
        if seen.tokens <= one.tokens and _worth(seen) >= PAYS * _worth(one):
            yield size


def free_sizes(whole: tuple[int, int], *, is_jpeg: bool) -> Iterator[tuple[int, int]]:
    """The sizes in px that need no second resampling, the largest first."""
    if is_jpeg:
        return (in_eighths(whole, eighths) for eighths in EIGHTHS)
    return (_divided(whole, divisor) for divisor in range(1, MOST_AVERAGED))


def in_eighths(whole: tuple[int, int], eighths: int) -> tuple[int, int]:
    """The size in px that a JPEG decoder makes: it rounds up."""
    return -(-whole[0] * eighths // 8), -(-whole[1] * eighths // 8)


def _within(sizing: Sizing, whole: tuple[int, int], side: int) -> tuple[int, int]:
    """The largest size below a side that takes few enough tokens, else the one that takes the fewest."""
    sizes = [scaled(*whole, smaller) for smaller in range(side, min(side, SMALLEST_SIDE) - 1, -STEP)]
    fitting = (size for size in sizes if _fits(sizing, sizing.see(*size)))
    return next(fitting, min(sizes, key=lambda size: sizing.see(*size).tokens))


def scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """The size in px with that longer side, in the same proportions."""
    longest = max(width, height)
    return max(1, round(width * side / longest)), max(1, round(height * side / longest))


def _divided(whole: tuple[int, int], divisor: int) -> tuple[int, int]:
    return max(1, whole[0] // divisor), max(1, whole[1] // divisor)


def _fits(sizing: Sizing, seen: Seen) -> bool:
    return sizing.most_tokens is None or seen.tokens <= sizing.most_tokens


def _worth(seen: Seen) -> float:
    """Pixels that the model is shown for a token."""
    return seen.pixels / max(seen.tokens, 1)

"""A picture too small to be recognised: ten by ten colours, and how strange those of another are to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from operator import getitem, itemgetter

SIDE = 10
CHANNELS = 3
LEVELS = 256
SQUARES = [level * level for level in range(LEVELS)]
INNER = itemgetter(*(slice(row * SIDE + 1, (row + 1) * SIDE - 1) for row in range(1, SIDE - 1)))
"""Takes the rows of a channel's cells that are not outermost."""
COMPARED = CHANNELS * (SIDE - 2) ** 2


class Layout:
    """Colours (YCbCr) of a grid of SIDE by SIDE over a picture."""

    def __init__(self, colours: bytes) -> None:
        """Of SIDE * SIDE cells, row by row, CHANNELS bytes each."""
        self._channels = [_Channel(colours[number::CHANNELS]) for number in range(CHANNELS)]

    def strangeness(self, other: Layout) -> float:
        """How much of either cannot be found near its place in the other, in levels; about 0 for a crop.

        A cell fits where each channel lies between the least and the most of its place and the eight around
        it. The outermost cells, which a crop may cut off, need not fit. Root of the mean square.
        """
        return _root_mean(
            sum(map(max, ours.misfits(theirs), theirs.misfits(ours))) for ours, theirs in self._beside(other)
        )

    def shows_same(self, other: Layout, most: float) -> bool:
        """Whether their strangeness is this at most; soon told where one picture is compared with many.

        Never below one way alone, nor channel by channel while it is added up; never above what differs in
        place.
        """
        pairs = self._beside(other)
        one_way = []
        for ours, theirs in pairs:
            one_way.append(ours.misfits_looked_up(theirs))
            if _root_mean(map(sum, one_way)) > most:
                return False
        if math.sqrt(sum(ours.apart(theirs) for ours, theirs in pairs) / COMPARED) <= most:
            return True
        sums = [sum(misfits) for misfits in one_way]
        for number, (ours, theirs) in enumerate(pairs):
            sums[number] = sum(map(max, one_way[number], theirs.misfits(ours)))
            if _root_mean(sums) > most:
                return False
        return True

    def _beside(self, other: Layout) -> list[tuple[_Channel, _Channel]]:
        return list(zip(self._channels, other._channels, strict=True))


class _Channel:
    """Levels of one channel of a layout."""

    def __init__(self, levels: bytes) -> None:
        self._levels = levels

    def misfits(self, other: _Channel) -> Iterator[int]:
        """Squares of the levels by which the other's inner cells do not fit here."""
        bounds = zip(*self._bounds, other._inner, strict=True)
        return (SQUARES[max(0, low - level, level - high)] for low, high, level in bounds)

    def misfits_looked_up(self, other: _Channel) -> list[int]:
        """The same, cheaper from the second time on."""
        return list(map(getitem, self._looked_up, other._inner))

    def apart(self, other: _Channel) -> float:
        """The sum of the squares of how far inner cells are from those in their place."""
        return math.dist(self._inner, other._inner) ** 2

    @cached_property
    def _inner(self) -> bytes:
        return b"".join(INNER(self._levels))

    @cached_property
    def _bounds(self) -> tuple[list[int], list[int]]:
        """The least and the most around each inner cell."""
        return self._around(min), self._around(max)

    @cached_property
    def _looked_up(self) -> list[list[int]]:
        """The square of the misfit of each level that might be there, for each inner cell."""
        return [
            SQUARES[low:0:-1] + [0] * (high - low + 1) + SQUARES[1 : LEVELS - high]
            for low, high in zip(*self._bounds, strict=True)
        ]

    def _around(self, pick: Callable[..., int]) -> list[int]:
        rows = [self._levels[start : start + SIDE] for start in range(0, len(self._levels), SIDE)]
        beside = [list(map(pick, row, row[1:], row[2:])) for row in rows]
        threes = zip(beside, beside[1:], beside[2:], strict=False)
        return [level for three in threes for level in map(pick, *three)]


def _root_mean(sums: Iterable[int]) -> float:
    """Of squares that were added up, some or all of them."""
    return math.sqrt(sum(sums) / COMPARED)

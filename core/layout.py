"""A picture too small to be recognised: ten by ten colours, and how strange those of another are to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import getitem

SIDE = 10
CHANNELS = 3
LEVELS = 256
SQUARES = [level * level for level in range(LEVELS)]


class Layout:
    """Colours (YCbCr) of a grid of SIDE by SIDE over a picture."""

    def __init__(self, colours: bytes) -> None:
        """Of SIDE * SIDE cells, row by row, CHANNELS bytes each."""
        self._rows = [
            colours[start : start + SIDE * CHANNELS] for start in range(0, len(colours), SIDE * CHANNELS)
        ]

    def strangeness(self, other: Layout) -> float:
        """How much of either cannot be found near its place in the other, in levels; about 0 for a crop.

        A cell fits where each channel lies between the least and the most of its place and the eight around
        it. The outermost cells, which a crop may cut off, need not fit. Root of the mean square.
        """
        return _root_mean(list(map(max, self._misfits(other), other._misfits(self))))

    def shows_same(self, other: Layout, most: float) -> bool:
        """Whether their strangeness is this at most; soon told where one picture is compared with many."""
        one_way = list(map(getitem, self._looked_up, other._inner))  # which both ways are never below
        return (
            _root_mean(one_way) <= most and _root_mean(list(map(max, one_way, other._misfits(self)))) <= most
        )

    def _misfits(self, other: Layout) -> Iterator[int]:
        """Squares of the levels by which the other's inner cells do not fit here, channel by channel."""
        bounds = zip(*self._bounds, other._inner, strict=True)
        return (SQUARES[max(0, low - level, level - high)] for low, high, level in bounds)

    @cached_property
    def _inner(self) -> bytes:
        return b"".join(row[CHANNELS:-CHANNELS] for row in self._rows[1:-1])

    @cached_property
    def _bounds(self) -> tuple[list[int], list[int]]:
        """The least and the most around each inner cell."""
        return self._around(min), self._around(max)

    @cached_property
    def _looked_up(self) -> list[list[int]]:
        """The square of the misfit of each level that might be there, for each inner cell and channel."""
        return [
            SQUARES[low:0:-1] + [0] * (high - low + 1) + SQUARES[1 : LEVELS - high]
            for low, high in zip(*self._bounds, strict=True)
        ]

    def _around(self, pick: Callable[..., int]) -> list[int]:
        beside = [list(map(pick, row, row[CHANNELS:], row[2 * CHANNELS :])) for row in self._rows]
        threes = zip(beside, beside[1:], beside[2:], strict=False)
        return [level for three in threes for level in map(pick, *three)]


def _root_mean(squares: Sequence[int]) -> float:
    return math.sqrt(sum(squares) / len(squares))

"""How like two pictures are, by their features; worker.features measures them.

docs/similar.md has the figures behind the thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from core.layout import Layout

VERSION = 1
"""Of what is measured: features of another version are not compared."""

HASH_SIDE = 16
BITS = HASH_SIDE * HASH_SIDE
"""Of a hash, and so the greatest distance between two."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the vector: its place, and what its values are multiplied by before they are stored."""

    place: slice
    weight: float

    def distance(self, one: Sequence[float], other: Sequence[float]) -> float:
        """The root of the mean square of the differences, in units of what was measured: 0 to 1."""
        ours, theirs = one[self.place], other[self.place]
        return math.dist(ours, theirs) / self.stored(1)

    def stored(self, distance: float) -> float:
        """The same as the Euclidean distance of what is stored."""
        return distance * self.weight * math.sqrt(self.place.stop - self.place.start)


FRAME = Part(slice(0, 48), 0.3)
"""Colours (YCbCr) of a grid of 4 by 4 over the whole picture."""
TONES = Part(slice(48, 64), 0.5)
"""Shares of twelve hues and four greys in the subject, square roots."""
EDGES = Part(slice(64, 100), 4.0)
"""Strength of upright, level and slanting edges on a grid of 3 by 3 over the subject's box."""
SHAPE = Part(slice(100, 126), 0.5)
"""The subject's outline on a grid of 5 by 5 over its box, and how slender the box is."""
DIMENSIONS = 126


NEAR_BITS = 64
"""Of 256: pictures whose hashes are further apart are no near-duplicates, unless somebody says otherwise."""
NEAR_STRANGENESS = 3.4
"""Levels. Both limits together find 95 % of small crops, and hardly anything else: see docs/similar.md."""
SAME_BITS, SAME_STRANGENESS = 24, 1.5
"""Limits for answers that are given again: fewer crops, and hardly ever another picture."""
NEAR_FRAME = 14 / 255
"""FRAME.distance of what is worth a closer look; crops of a tenth are below 12."""
ALIKE = {"same colours": (TONES, 0.11), "same shape": (SHAPE, 0.08), "same outlines": (EDGES, 0.013)}
"""Reasons, with how near a part has to be: so near are about 2 of 100 pairs of any two products."""


@dataclass(frozen=True)
class Features:
    """Of one picture."""

    hash: bytes
    """256 bits of a difference hash of the whole picture."""
    layout: bytes
    """Colours of a grid of 10 by 10, row by row, as a Layout takes them."""
    vector: tuple[float, ...]
    """DIMENSIONS numbers, nearest by their Euclidean distance."""

    def hash_distance(self, other: Features) -> int:
        """Of how many of the 256 bits differ."""
        return (int.from_bytes(self.hash) ^ int.from_bytes(other.hash)).bit_count()

    def strangeness(self, other: Features) -> float:
        """Of their layouts, in levels."""
        return self._layout.strangeness(other._layout)

    def shows_same(self, layout: bytes, strangeness: float = NEAR_STRANGENESS) -> bool:
        """Whether a picture of this layout is a near-duplicate, where their hashes are near."""
        return self._layout.shows_same(Layout(layout), strangeness)

    def is_near(self, other: Features, bits: int = NEAR_BITS, strangeness: float = NEAR_STRANGENESS) -> bool:
        """Whether one is the other resized, recompressed, a little cropped, or written on."""
        return self.hash_distance(other) <= bits and self.shows_same(other.layout, strangeness)

    def reasons(self, other: Features) -> list[str]:
        """In what they are alike."""
        near = ["near-duplicate"] if self.is_near(other) else []
        return near + [
            reason
            for reason, (part, most) in ALIKE.items()
            if part.distance(self.vector, other.vector) <= most
        ]

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.layout)

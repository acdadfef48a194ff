"""How providers count the tokens of an image: one class for each way, with its numbers from a table.

Each says what the model sees of an image, for most shrink what is too large by themselves, and what that
costs. Every way counts an image the same upright and on its side, so that EXIF's orientation does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

LOW = "low"
"""The `detail` for which some providers count every image alike."""
THUMBNAIL = 512
"""px: what such a provider makes of an image then."""


class Seen(NamedTuple):
    """What a model makes of an image."""

    width: float
    """px, after its own shrinking."""
    height: float
    tokens: int

    @property
    def pixels(self) -> float:
        """How much it sees."""
        return self.width * self.height


class Rule(Protocol):
    """One way of counting."""

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:
        """What the model makes of an image of this size in px, sent with that `detail`."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """OpenAI's older models: shrunk to fit, then cut into squares; `low` is a thumbnail at the base price."""

    base: int
    tile: int
    longest: int = 2048
    shortest: int = 768
    side: int = 512

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:
        """See Rule."""
        if detail == LOW:
            return Seen(*_fitted(width, height, THUMBNAIL), self.base)
        fit = min(1.0, self.longest / max(width, height))
        fit *= min(1.0, self.shortest / (min(width, height) * fit))
        return Seen(
            width * fit, height * fit, self.base + self.tile * self._squares(width * fit, height * fit)
        )

    def _squares(self, width: float, height: float) -> int:
        return math.ceil(round(width / self.side, 6)) * math.ceil(round(height / self.side, 6))


@dataclass(frozen=True, slots=True)
class Patches:
    """OpenAI's newer models: squares of 32 px up to a budget, each so many tokens, whatever the detail."""

    budget: int
    multiplier: Decimal = Decimal(1)
    longest: int = 2048
    side: int = 32

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:  # noqa: ARG002 - see Rule
        """See Rule."""
        fitted = _fitted(width, height, self.longest)
        if self._count(*fitted) > self.budget:
            fitted = self._within_budget(*fitted)
        return Seen(*fitted, math.ceil(self._count(*fitted) * self.multiplier))

    def _count(self, width: float, height: float) -> int:
        return math.ceil(round(width / self.side, 6)) * math.ceil(round(height / self.side, 6))

    def _within_budget(self, width: float, height: float) -> tuple[float, float]:
        """Shrunk by area, then once more until one side is a whole number of patches, as the guide has it."""
        shrink = math.sqrt(self.budget * self.side**2 / (width * height))
        across, down = width * shrink / self.side, height * shrink / self.side
        shrink *= min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
        return width * shrink, height * shrink


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """Claude: a token for each square of 28 px, of the largest size that keeps to both limits."""

    longest: int
    budget: int
    side: int = 28

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:  # noqa: ARG002 - see Rule
        """See Rule."""
        fitted = _fitted(width, height, self.longest)
        low, high = 0.0, 1.0
        if self._count(*fitted) > self.budget:
            for _ in range(20):
                middle = (low + high) / 2
                too_many = self._count(fitted[0] * middle, fitted[1] * middle) > self.budget
                low, high = (low, middle) if too_many else (middle, high)
            fitted = fitted[0] * low, fitted[1] * low
        return Seen(*fitted, self._count(*fitted))

    def _count(self, width: float, height: float) -> int:
        return math.ceil(round(width / self.side, 4)) * math.ceil(round(height / self.side, 4))


@dataclass(frozen=True, slots=True)
class Area:
    """Claude as it was published before: a token for so many pixels, shrunk to both limits."""

    longest: int
    budget: int
    pixels: int = 750

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:  # noqa: ARG002 - see Rule
        """See Rule."""
        wide, high = _fitted(width, height, self.longest)
        shrink = min(1.0, math.sqrt(self.budget * self.pixels / (wide * high)))
        return Seen(wide * shrink, high * shrink, math.ceil(wide * high * shrink**2 / self.pixels))


@dataclass(frozen=True, slots=True)
class Crops:
    """Gemini 2: small images whole, larger ones in crops whose size follows from the shorter side."""

    tokens: int
    small: int = 384
    least: int = 256
    most: int = 768

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:  # noqa: ARG002 - see Rule
        """See Rule."""
        if max(width, height) <= self.small:
            return Seen(width, height, self.tokens)
        unit = min(max(math.floor(min(width, height) / 1.5), self.least), self.most)
        return Seen(width, height, math.ceil(width / unit) * math.ceil(height / unit) * self.tokens)


@dataclass(frozen=True, slots=True)
class Flat:
    """Gemini 3: as many tokens for each image, whatever its size."""

    tokens: int

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:  # noqa: ARG002 - see Rule
        """See Rule."""
        return Seen(width, height, self.tokens)


@dataclass(frozen=True, slots=True)
class Merged:
    """Qwen-VL: both sides rounded to squares, within limits of pixels, and two tokens around the image."""

    side: int
    least: int
    """Pixels, to which a smaller image is enlarged."""
    most: int
    around: int = 2

    def see(self, width: int, height: int, detail: str = "auto") -> Seen:  # noqa: ARG002 - see Rule
        """See Rule."""
        wide, high = (max(self.side, round(length / self.side) * self.side) for length in (width, height))
        if wide * high > self.most:
            wide, high = self._scaled(width, height, self.most, math.floor)
        elif wide * high < self.least:
            wide, high = self._scaled(width, height, self.least, math.ceil)
        return Seen(wide, high, wide * high // self.side**2 + self.around)

    def _scaled(self, width: int, height: int, pixels: int, rounded: Any) -> tuple[int, int]:
        scale = math.sqrt(pixels / (width * height))
        wide, high = (max(1, rounded(length * scale / self.side)) for length in (width, height))
        return wide * self.side, high * self.side


KINDS: Mapping[str, Any] = {
    "tiles": Tiles,
    "patches": Patches,
    "visual_tokens": VisualTokens,
    "area": Area,
    "crops": Crops,
    "flat": Flat,
    "merged": Merged,
}


def rule_of(kind: str, numbers: Mapping[str, Any]) -> Rule:
    """The rule with these numbers. Raises KeyError, TypeError or ValueError for what makes none."""
    exact = {
        name: Decimal(str(value)) if name == "multiplier" else int(value) for name, value in numbers.items()
    }
    rule: Rule = KINDS[kind](**exact)
    if any(number < 0 for number in exact.values()) or rule.see(1, 1).tokens < 0:
        raise ValueError("the numbers of a way to count are not below 0")
    return rule


def _fitted(width: float, height: float, longest: int) -> tuple[float, float]:
    fit = min(1.0, longest / max(width, height))
    return width * fit, height * fit

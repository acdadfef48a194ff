"""What models cost: a dated table, token estimates, and the cost of a usage.

Prices are USD per 1,000,000 tokens, from core/prices.json, overridden model by model by the file that
PRICE_TABLE names (same shape). A model that no line knows has no price, and its answers say so: their
cost is null, never a guess.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from config import ConfigurationError

BUILT_IN = Path(__file__).with_name("prices.json")
PER_MILLION = Decimal(1_000_000)
CURRENCY = "USD"
MESSAGE_TOKENS = 100
"""For what an endpoint adds around the text: roles, separators, the wrapping of a schema."""
TILES = {"base": 85, "tile": 170}
"""How images are counted where the table does not say."""
REVISION = r"(-\d{4}-\d{2}-\d{2}|-latest)?"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer or of several together; cached, image and reasoning are parts of the first two."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    image_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """USD."""

    prompt: Decimal
    completion: Decimal

    @property
    def total(self) -> Decimal:
        """Prompt and completion together."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most that one call can take."""

    tokens: int
    cost: Decimal | None
    """USD; None where the model has no price."""


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the table."""

    model: str
    input: Decimal
    cached_input: Decimal
    output: Decimal
    image: dict[str, Any]
    as_of: str
    source: str

    def cost(self, usage: Usage) -> Cost:
        """What a usage costs; cached prompt tokens at their own price."""
        fresh = usage.prompt_tokens - usage.cached_tokens
        prompt = (fresh * self.input + usage.cached_tokens * self.cached_input) / PER_MILLION
        return Cost(prompt, usage.completion_tokens * self.output / PER_MILLION)


class PriceTable:
    """Finds the price of a model by its name, or by its name without a trailing revision date."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = {price.model: price for price in prices}

    @classmethod
    def load(cls, override: Path | None = None) -> PriceTable:
        """The built-in table with the override on top. Raises ConfigurationError for a bad override."""
        lines = json.loads(BUILT_IN.read_text())
        if override is not None:
            try:
                lines = {**lines, **json.loads(override.read_text())}
                return cls([_price(model, line) for model, line in lines.items()])
            except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
                raise ConfigurationError({"PRICE_TABLE": [f"is not a price table: {error!r}."]}) from error
        return cls([_price(model, line) for model, line in lines.items()])

    def find(self, model: str) -> Price | None:
        """The price of a model, or None where the table does not know it."""
        if exact := self._prices.get(model):
            return exact
        return next(
            (p for name, p in self._prices.items() if re.fullmatch(re.escape(name) + REVISION, model)), None
        )

    def worst_case(
        self, model: str, text: str, sizes: Iterable[tuple[int, int]], max_tokens: int
    ) -> WorstCase:
        """The most that one call can take: nothing cached, the answer as long as it may be.

        What images take of a model without a price is a guess, in tiles.
        """
        price = self.find(model)
        images = sum(image_tokens(width, height, price.image if price else TILES) for width, height in sizes)
        # No tokenizer makes more tokens than there are UTF-8 bytes; English has four bytes to a token.
        prompt = len(text.encode()) + MESSAGE_TOKENS + images
        cost = price.cost(Usage(prompt_tokens=prompt, completion_tokens=max_tokens)).total if price else None
        return WorstCase(prompt + max_tokens, cost)


def likely_tokens(text: str, sizes: Iterable[tuple[int, int]], max_tokens: int, price: Price | None) -> int:
    """What a rate limit will count for a call: four bytes to a token, and the longest answer."""
    images = sum(image_tokens(width, height, price.image if price else TILES) for width, height in sizes)
    return len(text.encode()) // 4 + MESSAGE_TOKENS + images + max_tokens


def image_tokens(width: int, height: int, rule: dict[str, Any]) -> int:
    """Tokens that an image of this size takes, in tiles or in patches.

    Source: https://platform.openai.com/docs/guides/images-vision#calculating-costs (read 2026-06).
    """
    if "patch" in rule:
        patches = min(math.ceil(width / 32) * math.ceil(height / 32), 1536)
        return math.ceil(patches * Decimal(rule["patch"]))
    fit = min(1.0, 2048 / max(width, height))
    fit *= min(1.0, 768 / (min(width, height) * fit))
    tiles = math.ceil(width * fit / 512) * math.ceil(height * fit / 512)
    return int(rule["base"]) + int(rule["tile"]) * tiles


def _price(model: str, line: dict[str, Any]) -> Price:
    amounts = {name: Decimal(str(line[name])) for name in ("input", "cached_input", "output")}
    if any(not amount.is_finite() or amount < 0 for amount in amounts.values()):
        raise ValueError(f"{model}: prices are numbers of USD per 1,000,000 tokens, not below 0")
    image = line.get("image", TILES)
    image_tokens(1, 1, image)
    return Price(model, **amounts, image=image, as_of=line.get("as_of", ""), source=line.get("source", ""))

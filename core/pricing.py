"""What models cost: a dated table, token estimates, and the cost of a usage.

Prices are USD per 1,000,000 tokens, from core/prices.json, overridden model by model by the file that
PRICE_TABLE names (same shape). A model that no line knows has no price, and its answers say so: their
cost is null, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from config import ConfigurationError
from core.image_tokens import Counting, counting, own

BUILT_IN = Path(__file__).with_name("prices.json")
PER_MILLION = Decimal(1_000_000)
CURRENCY = "USD"
MESSAGE_TOKENS = 100
"""For what an endpoint adds around the text: roles, separators, the wrapping of a schema."""
BYTES_PER_TOKEN = 4
"""Of English text; about what OpenAI's tokenizers give."""
Size = tuple[int, int]
"""Width and height in px."""
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
    counting: Counting | None
    """How its images are counted, where an operator's table says so."""
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

    def counting(self, model: str) -> Counting:
        """How a model counts images."""
        price = self.find(model)
        return (price and price.counting) or counting(model)

    def worst_case(self, model: str, text: str, sizes: Iterable[Size], max_tokens: int) -> WorstCase:
        """The most that one call can take: nothing cached, the answer as long as it may be.

        What images take of a model that no table knows is a guess, in tiles.
        """
        # No tokenizer makes more tokens than there are UTF-8 bytes; English has four bytes to a token.
        prompt = len(text.encode()) + MESSAGE_TOKENS + self.image_tokens(model, sizes)
        price = self.find(model)
        cost = price.cost(Usage(prompt_tokens=prompt, completion_tokens=max_tokens)).total if price else None
        return WorstCase(prompt + max_tokens, cost)

    def likely_tokens(self, model: str, text: str, sizes: Iterable[Size], max_tokens: int) -> int:
        """What a rate limit will count for a call: four bytes to a token, and the longest answer."""
        return text_tokens(text) + MESSAGE_TOKENS + self.image_tokens(model, sizes) + max_tokens

    def image_tokens(self, model: str, sizes: Iterable[Size], detail: str = "auto") -> int:
        """Tokens that images of these sizes take together, sent with that `detail`."""
        see = self.counting(model).rule.see
        return sum(see(width, height, detail).tokens for width, height in sizes)


def text_tokens(text: str) -> int:
    """Tokens that a text is likely to take."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def _price(model: str, line: dict[str, Any]) -> Price:
    amounts = {name: Decimal(str(line[name])) for name in ("input", "cached_input", "output")}
    if any(not amount.is_finite() or amount < 0 for amount in amounts.values()):
        raise ValueError(f"{model}: prices are numbers of USD per 1,000,000 tokens, not below 0")
    counted = own(line["image"]) if "image" in line else None
    return Price(
        model, **amounts, counting=counted, as_of=line.get("as_of", ""), source=line.get("source", "")
    )

"""The table of how each model's provider counts images: core/image_tokens.json, with sources and dates.

A model is known by how the last part of its name begins, so that `anthropic/claude-sonnet-4-5` and
`Qwen/Qwen2.5-VL-7B-Instruct` are, too. What no line knows is counted as OpenAI's tiles: a guess, and said so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.image_rules import Rule, rule_of

TABLE = Path(__file__).with_name("image_tokens.json")
GUESSED = "openai-tiles"


@dataclass(frozen=True, slots=True)
class Counting:
    """How one provider counts, and who says so."""

    name: str
    rule: Rule
    source: str
    as_of: str
    evidence: str
    """`published`, `measured by users` or `not verified`."""
    is_guess: bool = False
    """Whether nobody knows how this model counts."""


def counting(model: str) -> Counting:
    """How a model counts images."""
    name = model.lower().rpartition("/")[2]
    rules, models = _table()
    for pattern, found in models:
        if pattern.match(name):
            return rules[found]
    guess = rules[GUESSED]
    return Counting("guess", guess.rule, guess.source, guess.as_of, "not verified", is_guess=True)


def countings() -> Mapping[str, Counting]:
    """Every way that the table knows, by its name."""
    return _table()[0]


def own(line: str | Mapping[str, Any]) -> Counting:
    """How an operator's price table says that a model counts: a name of the table, or numbers of its own.

    {"base": 85, "tile": 170} are tiles and {"patch": "1.62"} patches, as OpenAI counts them. Raises KeyError,
    TypeError or ValueError.
    """
    if isinstance(line, str):
        return countings()[line]
    if "patch" in line:
        kind, numbers = "patches", {"budget": 1536, "multiplier": line["patch"]}
    else:
        numbers = {name: value for name, value in line.items() if name != "kind"}
        kind = line.get("kind", "tiles")
    return Counting("own", rule_of(kind, numbers), "PRICE_TABLE", "", "published")


@cache
def _table() -> tuple[dict[str, Counting], list[tuple[re.Pattern[str], str]]]:
    table = json.loads(TABLE.read_text())
    rules = {
        name: Counting(
            name, rule_of(line["kind"], line["numbers"]), line["source"], line["as_of"], line["evidence"]
        )
        for name, line in table["rules"].items()
    }
    return rules, [(re.compile(pattern), name) for pattern, name in table["models"]]

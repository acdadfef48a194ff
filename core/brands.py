"""Names of brands, whatever their spelling: which of those that a shop knows an answer means.

A name's key has no case, accents, spaces, signs or company forms, and Hangul stands in it as its letters, so
that a syllable with one wrong letter is one letter off. What equals no key is compared with all by edits
(insertions, deletions, substitutions, and swaps of neighbours), as many as its length allows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

SIGNS = str.maketrans("", "", "®™©℠")
COMPANY_FORMS = re.compile(
    r"\b(?:inc|incorporated|ltd|limited|llc|corp|corporation|co|company|gmbh|ag|plc|srl|spa|bv|kk)\b\.?"
    r"|\(주\)|주식회사|株式会社|\(株\)|有限公司|股份有限公司"
)
VOICED = "\u3099\u309a"
"""Marks of kana that are letters of their own, unlike accents."""
SHORTEST = 4
"""Letters of a key that may have a mistake: of shorter ones, too many are one edit apart."""
ALIKE_FROM = 0.79
"""Part of the letters that must be right: one mistake in five to nine letters, two in ten."""
MARGIN = 0.04
"""How much better the best must be than the next brand, or nobody can tell which is meant."""


@dataclass(frozen=True, slots=True)
class Known:
    """A brand that a shop knows."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A known brand, and how sure it is that this is meant: 1 where the keys are the same."""

    brand: Known
    score: float


def key(name: str) -> str:
    """What is compared of a name; empty where nothing of it is a letter or a digit."""
    text = unicodedata.normalize("NFKC", name.translate(SIGNS)).casefold()
    text = COMPANY_FORMS.sub(" ", text).strip() or text
    letters = unicodedata.normalize("NFKD", text)
    return "".join(
        letter for letter in letters if letter in VOICED or unicodedata.category(letter)[0] in "LN"
    )


class Registry:
    """The brands of a shop, found by any of their names."""

    def __init__(self, brands: Iterable[Known]) -> None:
        self._by_key: dict[str, Known] = {}
        for brand in brands:
            for name in (brand.name, *brand.aliases):
                self._by_key.setdefault(key(name), brand)
        self._by_key.pop("", None)
        self._keys = list(self._by_key)

    def match(self, name: str) -> Match | None:
        """The brand that a name means; None where it is unknown, or could be either of two."""
        wanted = key(name)
        if same := self._by_key.get(wanted):
            return Match(same, 1.0)
        if len(wanted) < SHORTEST:
            return None
        near = process.extract(
            wanted, self._keys, scorer=OSA.normalized_similarity, score_cutoff=ALIKE_FROM, limit=5
        )
        if not near:
            return None
        best = self._by_key[near[0][0]]
        others = [score for found, score, _ in near if self._by_key[found].id != best.id]
        if others and near[0][1] - max(others) < MARGIN:
            return None
        return Match(best, round(near[0][1], 3))

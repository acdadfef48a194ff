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
)
"""In Latin letters, where some brands are called so: AG."""
EASTERN_FORMS = re.compile(r"\(주\)|주식회사|株式会社|\(株\)|有限公司|股份有限公司")
VOICED = "\u3099\u309a"
"""Marks of kana that are letters of their own, unlike accents."""
SHORTEST = 4
"""Letters of a key that may have a mistake: of shorter ones, too many are one edit apart."""
ALIKE_FROM = 0.79
"""Part of the letters that must be right: one mistake in five to nine letters, two in ten."""
MARGIN = 0.04
"""How much better the best must be than the next brand, or nobody can tell which is meant."""
MOST_NEAR, MOST_LIKELY = 20, 5
"""Keys that are looked at, and brands that are told, where a name could be any of several."""


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
    """What is compared of a name; empty where it has no letter or digit but those of a company form."""
    text = unicodedata.normalize("NFKC", name.translate(SIGNS)).casefold()
    text = EASTERN_FORMS.sub(" ", text).strip()
    text = COMPANY_FORMS.sub(" ", text).strip() or text
    letters = unicodedata.normalize("NFKD", text)
    return "".join(
        letter for letter in letters if letter in VOICED or unicodedata.category(letter)[0] in "LN"
    )


class Registry:
    """The brands of a shop, found by any of their names; a brand's own name is no other's alias."""

    def __init__(self, brands: Iterable[Known]) -> None:
        own: dict[str, list[Known]] = {}
        others: dict[str, list[Known]] = {}
        for brand in brands:
            own.setdefault(key(brand.name), []).append(brand)
            for alias in dict.fromkeys(map(key, brand.aliases)):
                others.setdefault(alias, []).append(brand)
        self._by_key = others | own
        self._by_key.pop("", None)
        self._keys = list(self._by_key)

    def match(self, name: str) -> Match | None:
        """The brand that a name means; None where it is unknown, or could be either of two."""
        likely = self.likely(name)
        return likely[0] if len(likely) == 1 else None

    def likely(self, name: str) -> list[Match]:
        """The brands that a name may mean, the likeliest first: several where nobody can tell which."""
        wanted = key(name)
        if same := self._by_key.get(wanted):
            return [Match(brand, 1.0) for brand in same[:MOST_LIKELY]]
        if len(wanted) < SHORTEST:
            return []
        near = process.extract(
            wanted, self._keys, scorer=OSA.normalized_similarity, score_cutoff=ALIKE_FROM, limit=MOST_NEAR
        )
        found: dict[str, Match] = {}
        for name_key, score, _ in near:
            if near[0][1] - score < MARGIN:
                for brand in self._by_key[name_key][:MOST_LIKELY]:
                    found.setdefault(brand.id, Match(brand, round(score, 3)))
        return list(found.values())[:MOST_LIKELY]

"""Finds misspelt and Korean names in a registry of 6,000 brands: precision, recall and time.

Run: `python3 dev bench brands`. Names are made of syllables with a fixed
seed, a third of them with a Hangul alias.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass

from core.brands import Known, Registry

BRANDS, QUERIES, STRANGERS = 6_000, 200, 200
ONSETS = [
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "br",
    "cr",
    "dr",
    "fl",
    "gr",
    "kl",
    "pr",
    "st",
    "tr",
    "sh",
    "ch",
]
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou"]
CODAS = ["", "", "", "n", "r", "s", "l", "m", "x", "nd", "rt", "ck"]
HANGUL_FIRST, HANGUL_LAST = 0xAC00, 0xD7A3
TAILS = ["", "", "", " Studio", " & Co", " Sport", " Home", " Lab"]


@dataclass(frozen=True)
class Result:
    """How many names of known brands were found, and how many finds were right."""

    asked: int
    found: int
    right: int
    strangers_taken: int
    seconds: float

    @property
    def precision(self) -> float:
        """Of what was given as a known brand, strangers included, the part that was right."""
        return self.right / ((self.found + self.strangers_taken) or 1)

    @property
    def recall(self) -> float:
        """Of the names of known brands, the part that was found."""
        return self.right / self.asked


def word(dice: random.Random, syllables: int) -> str:
    """A word that can be said."""
    parts = [dice.choice(ONSETS) + dice.choice(VOWELS) + dice.choice(CODAS) for _ in range(syllables)]
    return "".join(parts).capitalize()


def hangul(dice: random.Random) -> str:
    """A name of three or four Korean syllables."""
    return "".join(chr(dice.randint(HANGUL_FIRST, HANGUL_LAST)) for _ in range(dice.choice((3, 4))))


def registry(dice: random.Random, count: int = BRANDS) -> list[Known]:
    """So many brands, no two of one name."""
    names: dict[str, None] = {}
    while len(names) < count:
        names[word(dice, dice.choice((2, 3, 3, 4))) + dice.choice(TAILS)] = None
    return [
        Known(f"b{place}", name, (hangul(dice),) if place % 3 == 0 else ())
        for place, name in enumerate(names)
    ]


def misspelt(dice: random.Random, name: str) -> str:
    """The name with one letter too few, too many, wrong or swapped; longer ones in capitals as well."""
    place = dice.randrange(1, len(name) - 1)
    letter = chr(ord(name[place]) + 1)
    made = dice.choice(
        (
            name[:place] + name[place + 1 :],
            name[:place] + name[place] + name[place:],
            name[:place] + letter + name[place + 1 :],
            name[:place] + name[place + 1] + name[place] + name[place + 2 :],
        )
    )
    return made.upper() if len(made) % 2 else made


def measured(seed: int = 1) -> Result:
    """One run."""
    dice = random.Random(seed)
    brands = registry(dice)
    known = Registry(brands)
    asked = [(brand, _asked(dice, brand, place)) for place, brand in enumerate(dice.sample(brands, QUERIES))]
    start = time.perf_counter()
    matches = [(brand, known.match(name)) for brand, name in asked]
    seconds = (time.perf_counter() - start) / QUERIES
    right = sum(match is not None and match.brand.id == brand.id for brand, match in matches)
    found = sum(match is not None for _, match in matches)
    strangers = [word(dice, dice.choice((3, 4))) for _ in range(STRANGERS)]
    return Result(QUERIES, found, right, sum(known.match(name) is not None for name in strangers), seconds)


def _asked(dice: random.Random, brand: Known, place: int) -> str:
    """A Korean name where there is one, every other of them misspelt by a letter; else a misspelt name."""
    if not brand.aliases:
        return misspelt(dice, brand.name)
    [alias] = brand.aliases
    if place % 2:
        return alias
    last = ord(alias[-1])
    return alias[:-1] + chr(last + 1 if last < HANGUL_LAST else last - 1)


def main() -> None:
    """Measure and print."""
    result = measured(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(f"registry            {BRANDS:,} brands, a third with a Korean alias")
    print(f"asked               {result.asked} misspelt or Korean names, {STRANGERS} unknown ones")
    print(f"precision           {result.precision:.3f}")
    print(f"recall              {result.recall:.3f}")
    print(f"strangers taken     {result.strangers_taken} of {STRANGERS}")
    print(f"time                {result.seconds * 1000:.1f} ms a name")


if __name__ == "__main__":
    main()

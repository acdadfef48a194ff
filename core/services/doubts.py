"""Why an estimate may be far off, as sentences for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.desk import Desk
from core.services.likely_calls import Calls, Likely


def lengths(likely: Sequence[Likely]) -> list[str]:
    """What the lengths of answers are taken from, where it is not from answers to the same questions."""
    new = [each for each in likely if not (each.known and each.known.is_same)]
    same = [(each, each.known) for each in likely if each.known and each.known.is_same]
    other = [each for each, known in same if known.images != each.images]
    guess = "taken from answers to other questions" if any(each.known for each in new) else "a guess"
    told = [
        (new, "of this sort", guess),
        (other, "about as many images", "taken from answers about more or fewer"),
    ]
    return [
        f"There are no answers {missing} yet{_of(some, likely)}: how long they will be is {source}."
        for some, missing, source in told
        if some
    ]


def counting(desk: Desk, made: Iterable[Calls]) -> list[str]:
    """The models whose ways of counting images no table knows."""
    models = dict.fromkeys(calls.model for calls in made if desk.prices.counting(calls.model).is_guess)
    return [
        f"How {model} counts images is not known: their tokens are a guess, counted as gpt-4o's."
        for model in models
    ]


def _of(some: Sequence[Likely], likely: Sequence[Likely]) -> str:
    return "" if len(some) == len(likely) else f" to {len(some):,} of {len(likely):,} questions"

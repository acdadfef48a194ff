"""Which local images show the same, as groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cli.connection import HOPELESS
from cli.crew import Crew
from cli.failure import Failure, Unreachable
from cli.lookalikes import LookalikesClient

Pairs = dict[frozenset[str], int]
"""By how many bits of 256 two names differ, for each two that show the same."""


@dataclass(frozen=True, slots=True)
class Member:
    """An image of a group, and by how many bits it differs from the nearest before it; the first by none."""

    name: str
    distance: int | None


Group = list[Member]


class Comparing:
    """Asks which of some uploads look alike; after a refusal that every one would get, about no more."""

    def __init__(self, client: LookalikesClient, parallel: int, threshold: int | None) -> None:
        self._client = client
        self._parallel = parallel
        self._threshold = threshold
        self._hopeless: Failure | None = None
        self.refused: dict[str, str] = {}
        """Why an image could not be compared, by its name."""

    def pairs(self, ids: Mapping[str, str], advance: Callable[..., None]) -> Pairs:
        """Every two of these names (each with its file) that show the same. Raises Failure."""
        names: dict[str, list[str]] = defaultdict(list)
        for name, file_id in ids.items():
            names[file_id].append(name)
        found: Pairs = {}
        for ours, outcome in zip(names.values(), Crew(self._near, names, self._parallel), strict=True):
            if isinstance(outcome, Failure):
                self.refused |= dict.fromkeys(ours, outcome.message)
            near = outcome if isinstance(outcome, dict) else {}
            theirs = [(name, distance) for each, distance in near.items() for name in names.get(each, ())]
            copies = [(name, 0) for name in ours[1:]]
            found |= {frozenset((ours[0], name)): distance for name, distance in (*theirs, *copies)}
            for _ in ours:
                advance()
        if self._hopeless:
            raise self._hopeless
        return found

    def forget(self, ids: Mapping[str, str]) -> int:
        """Remove the uploads; how many cannot be removed, which go by themselves within the hour."""
        return sum(not gone for gone in Crew(self._forget, dict.fromkeys(ids.values()), self._parallel))

    def _near(self, file_id: str) -> dict[str, int] | Failure | None:
        if self._client.interrupt.asked or self._hopeless:
            return None
        try:
            return {row["id"]: row["distance"] for row in self._client.duplicates(file_id, self._threshold)}
        except Failure as problem:
            if isinstance(problem, Unreachable) or getattr(problem, "status", None) in HOPELESS:
                self._hopeless = problem
            return problem

    def _forget(self, file_id: str) -> bool:
        with suppress(Failure):
            self._client.forget(file_id)
            return True
        return False


def groups(names: Sequence[str], pairs: Pairs) -> list[Group]:
    """The names that are joined by pairs, in the order given; who is alone is in none."""
    beside: dict[str, set[str]] = defaultdict(set)
    for one, other in map(tuple, pairs):
        beside[one].add(other)
        beside[other].add(one)
    left = dict.fromkeys(name for name in names if name in beside)
    return [_members(_joined(name, beside, left), pairs) for name in names if name in left]


def _joined(first: str, beside: Mapping[str, set[str]], left: dict[str, None]) -> list[str]:
    """Whatever can be reached from a name, taken out of what is left, in its order."""
    reached, waiting = {first}, [first]
    while waiting:
        new = beside[waiting.pop()] - reached
        reached |= new
        waiting += new
    found = [name for name in left if name in reached]
    for name in found:
        del left[name]
    return found


def _members(names: Sequence[str], pairs: Pairs) -> Group:
    """Each with the least distance to one before it; None where it is joined by one behind it only."""
    found = []
    for place, name in enumerate(names):
        distances = (pairs.get(frozenset((name, other))) for other in names[:place])
        found.append(Member(name, min((each for each in distances if each is not None), default=None)))
    return found

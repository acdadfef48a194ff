"""Which local images show the same, as groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cli.connection import HOPELESS
from cli.crew import Crew
from cli.failure import Failure, Unreachable
from cli.lookalikes import LookalikesClient

Pairs = dict[frozenset[str], int]
"""By how many bits of 256 two names differ, for each two that show the same."""


@dataclass(frozen=True, slots=True)
class Member:
    """An image of a group."""

    name: str
    distance: int | None
    """Bits that differ from the first; None of the first itself, and of what is near others only."""


Group = list[Member]
Rank = tuple[int, int, str]
"""What a group is ordered by, the least first."""


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
            self._judge(problem)
            return problem

    def _forget(self, file_id: str) -> bool:
        if self._hopeless:
            return False
        try:
            self._client.forget(file_id)
        except Failure as problem:
            self._judge(problem)
            return False
        return True

    def _judge(self, problem: Failure) -> None:
        if isinstance(problem, Unreachable) or getattr(problem, "status", None) in HOPELESS:
            self._hopeless = problem


def groups(names: Sequence[str], pairs: Pairs, rank: Callable[[str], Rank]) -> list[Group]:
    """The names that are joined by pairs, each group by rank; who is alone is in none.

    A group is a chain: where a is near b, and b near c, all three are in it, be a near c or not.
    """
    beside: dict[str, set[str]] = defaultdict(set)
    for one, other in map(tuple, pairs):
        beside[one].add(other)
        beside[other].add(one)
    left = dict.fromkeys(name for name in names if name in beside)
    return [_members(sorted(_joined(name, beside, left), key=rank), pairs) for name in names if name in left]


def _joined(first: str, beside: Mapping[str, set[str]], left: dict[str, None]) -> set[str]:
    """Whatever can be reached from a name, taken out of what is left."""
    reached, waiting = {first}, [first]
    while waiting:
        new = beside[waiting.pop()] - reached
        reached |= new
        waiting += new
    for name in reached:
        del left[name]
    return reached


def _members(names: Sequence[str], pairs: Pairs) -> Group:
    return [Member(name, pairs.get(frozenset((names[0], name)))) for name in names]

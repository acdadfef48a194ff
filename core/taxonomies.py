"""A shop's own tree of categories, and the few of them that a model is asked about at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MOST_NODES = 20_000
MOST_OPTIONS = 250
"""Shown to a model at once, and so the most that one category may have directly below it."""
DEEPEST = 12
LONGEST_ID, LONGEST_LABEL = 100, 200

Problem = tuple[int, str, str]
"""The line, the field, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A category."""

    id: str
    label: str
    parent: str | None


class Tree:
    """The categories of a taxonomy in which `problems` finds none."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._below: dict[str | None, list[Node]] = {}
        for node in self._nodes.values():
            self._below.setdefault(node.parent, []).append(node)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def nodes(self) -> list[Node]:
        """All of them, as they came."""
        return list(self._nodes.values())

    def path(self, node_id: str) -> list[str]:
        """The labels from the top down to a category."""
        labels: list[str] = []
        node: Node | None = self._nodes[node_id]
        while node is not None:
            labels.append(node.label)
            node = self._nodes.get(node.parent or "")
        return labels[::-1]

    def choice(self, below: str | None = None) -> list[Node]:
        """What is asked in the step below a category: as far down its branches as there is room for."""
        options = self._below.get(below, [])
        while True:
            deeper = [inner for node in options for inner in self._below.get(node.id, [node])]
            if deeper == options or len(deeper) > MOST_OPTIONS:
                return options
            options = deeper

    def ends(self, node_id: str) -> int:
        """How many categories with nothing below them stand below a category, or are it."""
        return sum(self.ends(node.id) for node in self._below.get(node_id, ())) or 1

    def is_end(self, node_id: str) -> bool:
        """Whether nothing is below a category."""
        return node_id not in self._below


def problems(numbered: Sequence[tuple[int, Node]], *, is_whole: bool = True) -> list[Problem]:
    """What keeps categories from being a tree, with the line, or the place, that each of them stands in.

    Where they are not the whole of it, nothing is said of what would be above them.
    """
    seen: dict[str, Node] = {}
    found = []
    for line, node in numbered:
        found += [(line, *problem) for problem in _of_node(node, seen)]
        seen.setdefault(node.id, node)
    return found if found or not is_whole else _of_shape(numbered, seen)


def _of_node(node: Node, others: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    for field, text, most in (("id", node.id, LONGEST_ID), ("label", node.label, LONGEST_LABEL)):
        if not 0 < len(text) <= most or not text.isprintable():
            yield field, f"It has 1 to {most} characters that can be seen."
    if node.id in others:
        yield "id", f"The id {node.id[:LONGEST_ID]!r} is there twice."


def _of_shape(numbered: Sequence[tuple[int, Node]], nodes: Mapping[str, Node]) -> list[Problem]:
    found = []
    circling, below = _circling(nodes), Counter[str | None]()
    for line, node in numbered:
        below[node.parent] += 1
        if node.parent is not None and node.parent not in nodes:
            found.append((line, "parent", f"There is no category {node.parent[:LONGEST_ID]!r} above it."))
        elif circling.get(node.id):
            found.append((line, "parent", "It is below itself."))
        elif node.id not in circling and not _reaches_the_top(node, nodes):
            found.append((line, "parent", f"It is more than {DEEPEST} levels deep."))
        if below[node.parent] == MOST_OPTIONS + 1:
            above = "the top" if node.parent is None else repr(node.parent)
            found.append((line, "parent", f"It is one more than the {MOST_OPTIONS} directly below {above}."))
    return found


def _circling(nodes: Mapping[str, Node]) -> dict[str, bool]:
    """The ids of what is below itself, or else below such a one: whether it is the former."""
    circling: dict[str, bool] = {}
    done: set[str] = set()
    for start in nodes:
        way: dict[str, None] = {}
        place = start
        while place in nodes and place not in done and place not in way:
            way[place] = None
            place = nodes[place].parent or ""
        done.update(way)
        if place in way or place in circling:
            circling.update(dict.fromkeys(way, False))
        while place in way and not circling[place]:
            circling[place] = True
            place = nodes[place].parent or ""
    return circling


def _reaches_the_top(node: Node, nodes: Mapping[str, Node]) -> bool:
    for _ in range(DEEPEST):
        above = nodes.get(node.parent or "")
        if above is None:
            return True
        node = above
    return False

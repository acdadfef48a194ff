"""A shop's own tree of categories, and the few of them that a model is asked about at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import InvalidRequest

MOST_NODES = 20_000
MOST_OPTIONS = 250
"""Shown to a model at once, and so the most that one category may have directly below it."""
DEEPEST = 12
LONGEST_ID, LONGEST_LABEL = 100, 200


@dataclass(frozen=True, slots=True)
class Node:
    """A category."""

    id: str
    label: str
    parent: str | None


class Tree:
    """The categories of a taxonomy. Raises InvalidRequest that tells every bad line for what is no tree."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes: dict[str, Node] = {}
        self._below: dict[str | None, list[Node]] = {}
        problems = []
        for line, node in enumerate(nodes, 2):  # behind the line that names the columns
            if why := self._problem_of(node):
                problems.append({"line": line, "field": "id", "error": why})
            self._nodes[node.id] = node
            self._below.setdefault(node.parent, []).append(node)
        _raise_any(problems or self._problems_of_shape())

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

    def is_end(self, node_id: str) -> bool:
        """Whether nothing is below a category."""
        return node_id not in self._below

    def _problem_of(self, node: Node) -> str | None:
        if not 0 < len(node.id) <= LONGEST_ID or not node.id.isprintable():
            return f"An id has 1 to {LONGEST_ID} characters that can be seen."
        if not 0 < len(node.label) <= LONGEST_LABEL or not node.label.isprintable():
            return f"A label has 1 to {LONGEST_LABEL} characters that can be seen."
        return f"The id {node.id!r} is there twice." if node.id in self._nodes else None

    def _problems_of_shape(self) -> list[dict[str, object]]:
        if not 0 < len(self._nodes) <= MOST_NODES:
            return [_problem(1, f"A taxonomy has 1 to {MOST_NODES:,} categories.")]
        found = []
        for line, node in enumerate(self._nodes.values(), 2):
            if node.parent is not None and node.parent not in self._nodes:
                found.append(_problem(line, f"There is no category {node.parent[:LONGEST_ID]!r} above it."))
            elif not self._reaches_the_top(node):
                found.append(_problem(line, f"It is more than {DEEPEST} levels deep, or below itself."))
        wide = [parent for parent, below in self._below.items() if len(below) > MOST_OPTIONS]
        return found + [
            _problem(1, f"{parent or 'The top'} has more than {MOST_OPTIONS} categories directly below it.")
            for parent in wide
        ]

    def _reaches_the_top(self, node: Node) -> bool:
        for _ in range(DEEPEST):
            if node.parent is None:
                return True
            node = self._nodes.get(node.parent, Node("", "", None))
        return False


def _problem(line: int, why: str) -> dict[str, object]:
    return {"line": line, "field": "parent", "error": why}


def _raise_any(problems: list[dict[str, object]]) -> None:
    if problems:
        first = problems[0]
        raise InvalidRequest(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the taxonomy, nothing was stored;"
            f" the first: line {first['line']}: {first['error']}",
            details={"errors": problems[:100], "error_count": len(problems)},
        )

"""One step of sorting into a tree: among as many categories as a model is shown at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from core.presets.brief import Brief, merged
from core.taxonomies import Node, Tree

FIELD = "category_id"
LISTED = "The shop's categories, as data: the id of each, and where it stands.\n"


def narrowed(brief: Brief, choice: Sequence[Node]) -> Brief:
    """The brief of one step: nothing fits its schema but an id of the choice, or null."""
    ids = [node.id for node in choice]
    place = {"type": "object", "required": [FIELD], "properties": {FIELD: {"enum": [*ids, None]}}}
    return replace(brief, schema=merged(brief.schema, place))


def listed(tree: Tree, choice: Sequence[Node]) -> str:
    """The categories of a choice, a line each."""
    lines = (f"{node.id}: {' > '.join(tree.path(node.id))}" for node in choice)
    return LISTED + "\n".join(lines)


def levels(tree: Tree) -> Iterator[dict[str | None, float]]:
    """Of each step the categories that it may be below of, and how many answers come there.

    That is as a share of all of them, were each category that has none below it as likely as the others.
    """
    level: dict[str | None, float] = {None: 1.0}
    while level:
        yield level
        level = dict(_further(tree, level))


def _further(tree: Tree, level: Mapping[str | None, float]) -> Iterator[tuple[str, float]]:
    for below, share in level.items():
        ends = {node.id: tree.ends(node.id) for node in tree.choice(below)}
        for node_id, count in ends.items():
            if not tree.is_end(node_id):
                yield node_id, share * count / sum(ends.values())


def longest_way(tree: Tree, below: str | None = None) -> list[list[Node]]:
    """The choices of the most steps that an answer may take, and of those the largest."""
    choice = tree.choice(below)
    further = (longest_way(tree, node.id) for node in choice if not tree.is_end(node.id))
    return [choice, *max(further, key=lambda way: (len(way), sum(map(len, way))), default=[])]

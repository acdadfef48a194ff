"""Sorting into a tree: in steps, each among as many categories as a model is shown at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.presets.answer_fields import CATEGORY, STEPS
from core.presets.brief import Brief, merged
from core.services.outcomes import Answer
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


def chosen(answer: Answer) -> str | None:
    """The id that was chosen."""
    found: str | None = answer.data[FIELD] if isinstance(answer.data, dict) else None
    return found


def finish(tree: Tree, answer: Answer, steps: int) -> Answer:
    """The answer with the category's own label and path."""
    category = chosen(answer)
    about: dict[str, Any] | None = None
    if category is not None:
        path = tree.path(category)
        about = {"id": category, "label": path[-1], "path": path}
    return replace(answer, data={**answer.data, CATEGORY: about, STEPS: steps})  # type: ignore[dict-item]

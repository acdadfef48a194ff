"""What was chosen out of a tree, and where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.presets.answer_fields import CATEGORY, STEPS
from core.presets.choices import FIELD
from core.services.outcomes import Answer
from core.taxonomies import Tree


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

"""Several views of one product: what they are called, which file shows which, and which comes first."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from core.errors import InvalidRequest

SKU_LENGTH = 128
"""Characters; no more than a custom_id may have, for a group is called by its SKU."""
VIEW_LENGTH = 100
BY_FOLDER, BY_NAME = "folder", "name"
FIRST = ("", "main", "front")
"""Views that show a product best: other than these, a file that is called like the SKU alone."""
DIGITS = re.compile(r"(\d{1,18})")


class Shown(NamedTuple):
    """What a path says of its image; the view is None where it names only the SKU."""

    sku: str
    view: str | None


def shown(path: str, by: str) -> Shown:
    """What a path shows: `A-1/back.jpg` by its folder, `A-1_back.jpg` by its name. Raises InvalidRequest."""
    place = PurePosixPath(path)
    if by == BY_NAME:
        sku, _, view = place.stem.rpartition("_")
        return Shown(sku, view or None) if sku else Shown(view, None)
    sku = place.parent.name
    if not sku:
        raise InvalidRequest("It lies in no folder that is called like its SKU.")
    view = place.stem.removeprefix(sku).lstrip("_- ")  # A-1/A-1_back.jpg
    return Shown(sku, view or None)


def order(found: Shown) -> tuple[str, bool, str, list[tuple[str, int]]]:
    """Sorts by SKU, and its views as they should be seen: the main one first, 2 before 10."""
    view = (found.view or "").casefold()
    first = str(FIRST.index(view)) if view in FIRST else ""
    pieces = DIGITS.split(view)
    natural = [(text, int(number)) for text, number in zip(pieces[::2], [*pieces[1::2], "0"], strict=True)]
    return found.sku, not first, first, natural


def problem_of(view: object) -> str | None:
    """Why that cannot be the name of a view; it stands in a line of the prompt."""
    if not isinstance(view, str) or not view.strip() or len(view) > VIEW_LENGTH or not view.isprintable():
        return f"Must be a text of 1 to {VIEW_LENGTH} characters in one line."
    return None

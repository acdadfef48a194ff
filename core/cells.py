"""What the cells of a CSV row stand for: each is a text, and an item has values of other kinds too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any


def typed(row: Mapping[str, str]) -> dict[str, Any]:
    """The fields of an item, of which `images` stays a text; empty cells are as if left out.

    What does not convert stays a text as well, to be refused as one, with the name of its field.
    """
    found: dict[str, Any] = {name: cell for name, cell in row.items() if cell}
    for name in KINDS.keys() & found.keys():
        with suppress(ValueError, RecursionError):
            found[name] = KINDS[name](found[name])
    return found


def _names(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(";")]


KINDS: dict[str, Callable[[str], Any]] = {
    "sku": str.strip,
    "view": str.strip,
    "max_tokens": int,
    "max_image_tokens": int,
    "temperature": float,
    "metadata": json.loads,
    "preset_options": json.loads,
    "response_format": json.loads,
    "require_quality": _names,
}

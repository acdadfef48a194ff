"""The rows that a batch is made from: each is an item by itself, or one of those that share a SKU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from core.errors import InvalidRequest

MOST_ITEMS = 50_000
BY_SKU = "sku"
OF_IMAGES = frozenset({"image", "images", "view"})
"""Fields of a row that are about its images; all others are about what is asked."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A line, or a member of an archive, that is no item."""

    why: str
    custom_id: str | None = None
    field: str = "line"


class Picture(NamedTuple):
    """An image as it was given, and which view it shows."""

    line: int
    image: Any
    view: Any


@dataclass(slots=True)
class Row:
    """What is said of one item."""

    line: int
    name: str
    """Its custom_id where it gives none."""
    fields: dict[str, Any]
    pictures: list[Picture]


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said: null is as if left out."""
    return {name: value for name, value in values.items() if value is not None}


def pictures(line: int, row: Mapping[str, Any]) -> list[Picture]:
    """The images of a row. Raises InvalidRequest."""
    if "image" in row and "images" in row:
        raise InvalidRequest("Give either image or images, not both.")
    images = row.get("images", [row["image"]] if "image" in row else [])
    if not isinstance(images, list):
        raise InvalidRequest("images must be a list.")
    if "view" in row and len(images) != 1:
        raise InvalidRequest(
            "A view is that of one image: name it beside each of them, or give a row to each."
        )
    return [Picture(line, image, row.get("view")) for image in images]


def by_sku(rows: Iterable[tuple[int, Any]], most_images: int) -> Iterator[tuple[int, Row | Broken]]:
    """One row for each SKU, in the order in which they turn up first, with the images of all its rows.

    What any of its rows asks holds for all of them. What cannot be joined comes first, as Broken in its line.
    Raises InvalidRequest for too many SKUs.
    """
    groups: dict[str, Row] = {}
    for line, content in rows:
        faults = _join(groups, line, content, most_images)
        yield from ((line, fault) for fault in faults)
        if len(groups) > MOST_ITEMS:
            raise too_many()
    yield from ((row.line, row) for row in groups.values())


def too_many() -> InvalidRequest:
    """What is said of a batch with too many items."""
    return InvalidRequest(f"A batch takes at most {MOST_ITEMS:,} items.", details={"limit": MOST_ITEMS})


def _join(groups: dict[str, Row], line: int, content: Any, most_images: int) -> Iterator[Broken]:
    """Add a row to the group of its SKU; what is wrong with that."""
    if not isinstance(content, dict):
        yield content if isinstance(content, Broken) else Broken("An item is a JSON object.")
        return
    row = given(content)
    sku = row.get("sku")
    if not isinstance(sku, str) or not sku.strip():
        yield Broken("Every row needs one, for rows are grouped by it.", _name(row), "sku")
        return
    group = groups.setdefault(sku, Row(line, sku, {}, []))
    for name in row.keys() - OF_IMAGES:
        if group.fields.setdefault(name, row[name]) != row[name]:
            yield Broken("Another row of this SKU says otherwise.", sku, str(name)[:100])
    try:
        found = pictures(line, row)
    except InvalidRequest as error:
        yield Broken(error.message, sku, "images")
        return
    if not found:
        yield Broken("Give an image.", sku, "images")
    elif len(group.pictures) + len(found) > most_images:
        yield Broken(f"This SKU has more than {most_images} images, the most of one analysis.", sku, "images")
    else:
        group.pictures += found


def _name(row: Mapping[str, Any]) -> str | None:
    custom_id = row.get("custom_id")
    return custom_id if isinstance(custom_id, str) else None

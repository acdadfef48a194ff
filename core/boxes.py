"""Boxes in pixels, from the picture that a model saw back to the one that was sent in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Box = dict[str, int]
"""x and y of the upper left corner, width and height."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture as it was sent to a model and as it came."""

    sent: tuple[int, int]
    original: tuple[int, int]
    """As a person sees it, upright."""
    orientation: int = 1
    """EXIF 2.32, tag 0x0112: how the stored pixels must be turned to be upright."""

    def upright(self, box: Mapping[str, Any]) -> Box | None:
        """The box in pixels of the original, upright; None where nothing of it is inside."""
        across, down = self.original[0] / self.sent[0], self.original[1] / self.sent[1]
        left, right = _within(box["x"], box["width"], across, self.original[0])
        top, bottom = _within(box["y"], box["height"], down, self.original[1])
        if right <= left or bottom <= top:
            return None
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}

    def stored(self, box: Box) -> Box:
        """An upright box in pixels as they are stored, before EXIF turns them."""
        width, height = self.original
        left, top, right, bottom = box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]
        corners = [
            _turned_back(self.orientation, x, y, width, height) for x, y in ((left, top), (right, bottom))
        ]
        (x0, x1), (y0, y1) = (sorted(each) for each in zip(*corners, strict=True))
        return {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}

    def share(self, box: Box) -> float:
        """The part of the picture that an upright box takes, in per cent."""
        return round(100 * box["width"] * box["height"] / (self.original[0] * self.original[1]), 3)


def _within(start: float, length: float, scale: float, most: int) -> tuple[int, int]:
    first, last = round(start * scale), round((start + length) * scale)
    return min(max(first, 0), most), min(max(last, 0), most)


def _turned_back(orientation: int, x: int, y: int, width: int, height: int) -> tuple[int, int]:
    """Where a corner of the upright picture (width by height) lies in the stored one."""
    return {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (y, width - x),
        7: (height - y, width - x),
        8: (height - y, x),
    }.get(orientation, (x, y))

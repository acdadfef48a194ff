"""Pictures decoded and resampled to the size at which they are sent, in the cheapest way of their format."""

from __future__ import annotations

from PIL import Image, ImageFile

from core.image_sizes import free_sizes, scaled
from worker.colour import in_smooth_mode
from worker.resampling import resampled

# A size that needs no second resampling and is within 5 % below the asked side is taken as it is: a 4,032 px
# photo becomes 1,008 px; where it is Pillow that resamples, at half the CPU. A `Sizing` goes further.
_NEAR_ENOUGH = 0.95


def fitted(width: int, height: int, best_side: int, *, is_jpeg: bool = False) -> tuple[int, int]:
    """The size in px at which an image is sent: at least 1 by 1, at most best_side, never enlarged."""
    if max(width, height) <= best_side:
        return width, height
    free = free_sizes((width, height), is_jpeg=is_jpeg)
    near = (size for size in free if _NEAR_ENOUGH * best_side <= max(size) <= best_side)
    return next(near, scaled(width, height, best_side))


def shrunk(source: ImageFile.ImageFile, target: tuple[int, int], actions: list[str]) -> Image.Image:
    """Decode, at a fraction of the size where the format can, and resample to the size to be sent."""
    drafted = source.draft(None, target) if target != source.size else None
    source.load()
    image = in_smooth_mode(source, actions)
    if image.size == target:
        return image
    return resampled(image, target, drafted[1] if drafted else None)

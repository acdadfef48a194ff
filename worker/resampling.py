"""Pictures in another size, by the filter that Pillow calls BICUBIC (Catmull and Rom).

fast_image_resize (Rust) does it in a fifth of the CPU of Pillow, with the vector instructions of x86-64 and
ARM. Pillow does what that does not take, and all of it where there is no wheel of it (Linux on ARM). It finds
the pixels by how Pillow lays out its images, so who takes another Pillow runs the tests of this first.
"""

from __future__ import annotations

import mmap

from PIL import Image

try:
    from cykooz_resizer import AlphaMulDiv, CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer
except ImportError:
    _MODES: frozenset[str] = frozenset()
else:
    _MODES = frozenset({"L", "RGB", "RGBa", "CMYK"})

_LONGEST_SIDE = 65_535  # px: it writes down the weights of each pixel of a side first, 32 bytes for one
_SLACK = 8 * 1024 * 1024  # bytes: for these weights, and what else an allocator wants

Box = tuple[float, float, float, float]


def resampled(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """The image at a size in px, or the box of it: left, top, right and bottom in px and parts of them.

    Raises MemoryError.
    """
    if image.mode not in _MODES or max(image.size) > _LONGEST_SIDE:
        # A gap of 1.0 lets whole-number averaging do all it can first.
        return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=1.0)
    left, top, right, bottom = box or (0, 0, *image.size)
    options = ResizeOptions(
        ResizeAlg.convolution(FilterType.catmull_rom), crop_box=CropBox(left, top, right - left, bottom - top)
    )
    made = Image.new(image.mode, size)
    made.info = image.info.copy()  # colour profiles, as Pillow does
    # What is resampled level, and not yet upright.
    _demand_memory(size[0] * image.height * (1 if image.mode == "L" else 4) + _SLACK)
    Resizer().resize_pil(image, made, options)  # a new one each time, for it keeps what memory it took
    return made


def premultiplied(image: Image.Image) -> Image.Image:
    """An RGBA image as RGBa: what is transparent then weighs less where pixels are averaged."""
    if "RGBa" not in _MODES:
        return image.convert("RGBa")
    made: Image.Image = AlphaMulDiv().multiply_alpha_pil(image)
    made.info = image.info.copy()
    return made


def _demand_memory(size: int) -> None:
    """Raises MemoryError where so many bytes cannot be had: Rust would end the process."""
    try:
        mmap.mmap(-1, size).close()
    except OSError as error:
        raise MemoryError from error

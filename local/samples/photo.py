"""A photo in the making: parts, shadows and words on the board in its middle.

Every part is one outline, drawn at three times its size and reduced for smooth edges, and filled with a
ramp of colours for shading.
"""

import math
from collections.abc import Sequence

from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageFont

from local.samples.outlines import Outline, Point, oval
from local.samples.paint import RGB, ramp

BOARD = 1000  # units
SMOOTHING = 3  # parts are drawn this many times larger


class Photo:
    """A canvas with the board in its middle."""

    def __init__(self, backdrop: Image.Image) -> None:
        self.image = backdrop
        self._unit = min(backdrop.size) / BOARD
        self._origin = tuple((side - BOARD * self._unit) / 2 for side in backdrop.size)

    def part(
        self, outline: Outline, colors: Sequence[RGB], *, across: bool = False, width: float = 0
    ) -> None:
        """Paint an outline's inside, or with `width` (units) the line itself."""
        corner, size = self._frame(outline, width)
        mask = self._mask(outline, corner, size, width)
        self.image.paste(ramp(colors, size, across=across), corner, mask)

    def glow(self, outline: Outline, color: str, strength: float, soft: float) -> None:
        """Lay a blurred patch of colour: a shadow, or a reflection. `soft` is in units."""
        corner, size = self._frame(outline, 6 * soft)
        coarse = max(1, round(soft * self._unit / 3))  # a blur hides that it was drawn small
        mask = self._mask(outline, corner, size, 0).reduce(coarse)
        blurred = mask.filter(ImageFilter.GaussianBlur(soft * self._unit / coarse))
        faint = blurred.resize(size, Image.Resampling.BICUBIC).point(lambda value: value * strength)
        self.image.paste(ImageColor.getrgb(color), corner, faint)

    def shadow(self, x0: float, x1: float, y: float, strength: float = 0.45) -> None:
        """Ground the product: a wide soft shadow and a narrow dark one where it touches."""
        self.glow(oval(x0 - 30, y - 34, x1 + 40, y + 34), "#1a1a22", strength * 0.55, 26)
        self.glow(oval(x0 + 10, y - 12, x1 - 10, y + 12), "#101014", strength, 8)

    def write(self, text: str, middle: Point, size: float, color: str) -> None:
        """Set a line of text around a point."""
        font = ImageFont.load_default(size * self._unit)
        draw = ImageDraw.Draw(self.image)
        draw.text(self._pixel(middle), text, fill=color, font=font, anchor="mm")

    def _pixel(self, point: Point) -> Point:
        return self._origin[0] + point[0] * self._unit, self._origin[1] + point[1] * self._unit

    def _frame(self, outline: Outline, margin: float) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the corner and the size, in pixels, of the area that an outline may touch."""
        xs, ys = zip(*map(self._pixel, outline), strict=True)
        rim = margin * self._unit / 2 + 2
        corner = math.floor(min(xs) - rim), math.floor(min(ys) - rim)
        return corner, (math.ceil(max(xs) + rim) - corner[0], math.ceil(max(ys) + rim) - corner[1])

    def _mask(
        self, outline: Outline, corner: tuple[int, int], size: tuple[int, int], width: float
    ) -> Image.Image:
        mask = Image.new("L", (size[0] * SMOOTHING, size[1] * SMOOTHING))
        pixels = map(self._pixel, outline)
        points = [((x - corner[0]) * SMOOTHING, (y - corner[1]) * SMOOTHING) for x, y in pixels]
        draw = ImageDraw.Draw(mask)
        if width:
            thick = round(width * self._unit * SMOOTHING)
            draw.line(points, 255, thick, joint="curve")
            for x, y in (points[0], points[-1]):
                draw.circle((x, y), thick / 2, 255)
        else:
            draw.polygon(points, 255)
        return mask.reduce(SMOOTHING)

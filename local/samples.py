"""Draws a dozen product photos, so that a demo has something to look at and tests know what is in it.

Products are drawn on a board of 1000 x 1000 units in the middle of the photo. Every part is one
outline, drawn at three times its size and reduced for smooth edges, and filled with a ramp of
colours for shading. Nothing is random but the grain, and that is seeded.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter, ImageFont

Point = tuple[float, float]
Outline = list[Point]
RGB = tuple[int, int, int]

BOARD = 1000  # units
SMOOTHING = 3  # parts are drawn this many times larger
DRAWN_AT_MOST = 1300  # pixels of the longer side; larger photos are enlarged at the end
ORIENTATION, GPS = 0x0112, 0x8825


@dataclass(frozen=True)
class Sample:
    """A photo on disk, what a shop would ask about it, and what a test may expect of the answer."""

    name: str
    path: Path
    question: str
    expected: dict[str, Any]


# --- outlines ---------------------------------------------------------------------------------


def oval(x0: float, y0: float, x1: float, y1: float, first: float = 0, last: float = 360) -> Outline:
    """Trace an ellipse in its box, or an arc of it, clockwise from the right in degrees."""
    turns = [math.radians(first + (last - first) * step / 72) for step in range(73)]
    x, y, a, b = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
    return [(x + a * math.cos(turn), y + b * math.sin(turn)) for turn in turns]


def slab(x0: float, y0: float, x1: float, y1: float, r: float) -> Outline:
    """Trace a rectangle with rounded corners."""
    corners = [(x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180), (x1 - r, y0 + r, 270)]
    return [
        point for x, y, turn in corners for point in oval(x - r, y - r, x + r, y + r, turn, turn + 90)[::8]
    ]


def curve(*knots: Point, closed: bool = True) -> Outline:
    """Trace a Catmull-Rom spline through all knots."""
    around = [knots[-1], *knots, knots[0], knots[1]] if closed else [knots[0], *knots, knots[-1]]
    spans = zip(around, around[1:], around[2:], around[3:], strict=False)
    return [_spline(*span, step / 12) for span in spans for step in range(13)]


def _spline(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    x, y = (
        (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3) / 2
        for p, q, r, s in zip(a, b, c, d, strict=True)
    )
    return x, y


# --- paint ------------------------------------------------------------------------------------


def shade(color: str, by: float) -> RGB:
    """Lighten a colour towards white (up to 1) or darken it towards black (down to -1)."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    goal = 255 if by > 0 else 0
    mixed = [round(channel + (goal - channel) * abs(by)) for channel in (red, green, blue)]
    return mixed[0], mixed[1], mixed[2]


def around(color: str, depth: float = 0.35) -> list[RGB]:
    """Shade a round body lit from the left."""
    return [shade(color, by * depth) for by in (-0.6, 0.35, 0.7, 0.1, -0.3, -0.9)]


def slope(color: str, depth: float = 0.25) -> list[RGB]:
    """Shade a flat body lit from above."""
    return [shade(color, depth), shade(color, 0), shade(color, -depth)]


def ramp(colors: Sequence[RGB], size: tuple[int, int], *, across: bool) -> Image.Image:
    """Fill an area with colours that blend from left to right, or from top to bottom."""
    line = Image.new("RGB", (len(colors), 1) if across else (1, len(colors)))
    line.putdata(list(colors))
    return line.resize(size, Image.Resampling.BICUBIC)


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


# --- backdrops --------------------------------------------------------------------------------


def plain(size: tuple[int, int], color: str = "#ffffff") -> Image.Image:
    """Hang a seamless sheet."""
    return Image.new("RGB", size, color)


def gradient(size: tuple[int, int], top: str, bottom: str) -> Image.Image:
    """Hang a sheet that light falls off from."""
    return ramp([shade(top, 0), shade(bottom, 0)], (size[0], size[1]), across=False)


def room(size: tuple[int, int]) -> Image.Image:
    """Build a corner of a living room: striped wallpaper, a picture, a parquet floor."""
    image = Image.new("RGB", size, "#cfd8cf")
    draw, (width, height), floor = ImageDraw.Draw(image), size, round(size[1] * 0.74)
    for place in range(0, width, width // 14):
        draw.rectangle((place, 0, place + width // 28, floor), "#a9bdb1")
    for row, top in enumerate(range(floor, height, height // 18)):
        for column in range(-1, 7):
            left = column * width // 6 + (row % 2) * width // 12
            color = shade("#a8743f", 0.16 * math.sin(5.3 * row + 2.1 * column))
            draw.rectangle((left, top, left + width // 6 - 3, top + height // 18 - 3), color)
    draw.rectangle((0, floor - height // 40, width, floor), "#f4f1ea")
    frame = (width // 16, height // 12, width // 3, height // 3)
    draw.rectangle(frame, "#e9c46a", "#4a3524", width // 90)
    draw.polygon(
        [(frame[0] + 30, frame[3] - 14), (width // 5, height // 6), (frame[2] - 20, frame[3] - 14)], "#2a6f77"
    )
    return image


# --- products ---------------------------------------------------------------------------------


def mug(photo: Photo) -> None:
    """A red enamel mug."""
    photo.shadow(270, 690, 815)
    photo.part(
        curve((660, 400), (800, 390), (850, 520), (790, 650), (650, 680), closed=False),
        slope("#c0202a"),
        width=52,
    )
    photo.part(curve((662, 392), (798, 384), (838, 500), closed=False), [shade("#f0777c", 0)] * 2, width=9)
    body = [(250, 290), *oval(265, 740, 695, 850, 180, 0)[1:-1], (710, 290)]
    photo.part(body, around("#d7262b"), across=True)
    photo.part(oval(250, 250, 710, 336), around("#f2efe9", 0.2), across=True)
    photo.part(oval(272, 264, 688, 328), around("#8f1119", 0.2), across=True)
    photo.part(oval(282, 286, 678, 330), [shade("#4a2817", 0.1), shade("#4a2817", -0.3)])
    photo.glow(slab(330, 400, 362, 700, 16), "#ffffff", 0.55, 9)


def trainer(photo: Photo) -> None:
    """A blue running shoe with a white sole."""
    photo.shadow(90, 910, 735)
    upper = curve(
        (120, 640),
        (110, 470),
        (150, 350),
        (250, 360),
        (330, 420),
        (430, 360),
        (520, 400),
        (640, 510),
        (800, 560),
        (900, 630),
        (880, 690),
        (500, 700),
        (140, 700),
    )
    photo.part(upper, slope("#2462d0", 0.35))
    photo.part(
        curve((120, 640), (112, 480), (148, 360), (205, 380), (225, 520), (215, 690), (140, 690)),
        slope("#173f8f"),
    )
    photo.part(
        curve((150, 352), (250, 362), (330, 424), (428, 362), (380, 335), (260, 320)), slope("#16213a")
    )
    photo.part(
        curve((330, 640), (470, 560), (600, 540), (560, 585), (440, 630), (345, 668)), slope("#ffffff", 0.12)
    )
    for step in range(5):
        x, y = 420 + 46 * step, 408 + 32 * step
        photo.part([(x - 34, y + 44), (x + 30, y - 6)], [shade("#f4f6fa", 0)] * 2, width=15)
    photo.part(curve((690, 590), (800, 566), (905, 640), (880, 690), (700, 690)), slope("#3f7be6"))
    photo.part(
        curve(
            (95, 670),
            (300, 690),
            (560, 676),
            (760, 690),
            (930, 655),
            (935, 720),
            (860, 755),
            (500, 748),
            (120, 755),
            (85, 720),
        ),
        [shade("#ffffff", 0), shade("#eceff3", 0), shade("#b9bfc9", 0)],
    )
    photo.part([(110, 742), (870, 742)], [shade("#f28a1c", 0)] * 2, width=12)


def handbag(photo: Photo) -> None:
    """A tan leather handbag."""
    photo.shadow(160, 840, 850)
    photo.part(
        curve((330, 470), (340, 250), (500, 150), (660, 250), (670, 470), closed=False),
        slope("#8a5a2e", 0.2),
        width=34,
    )
    photo.part(
        curve((200, 440), (500, 425), (800, 440), (860, 800), (820, 850), (500, 860), (180, 850), (140, 800)),
        around("#b9834d", 0.28),
        across=True,
    )
    photo.part(
        curve((196, 440), (500, 424), (804, 440), (800, 560), (660, 640), (500, 660), (340, 640), (200, 560)),
        slope("#c1935f"),
    )
    photo.part(
        curve((214, 552), (345, 622), (500, 642), (655, 622), (786, 552), closed=False),
        [shade("#e6c79c", 0)] * 2,
        width=4,
    )
    photo.part(slab(455, 605, 545, 705, 18), around("#d9b13b", 0.5), across=True)
    photo.part(slab(480, 650, 520, 682, 12), slope("#7a5a12"))
    for x in (330, 670):
        photo.part(oval(x - 27, 442, x + 27, 496), around("#d9b13b", 0.5), across=True, width=11)
    photo.glow(slab(250, 470, 420, 500, 14), "#ffffff", 0.3, 14)


def t_shirt(photo: Photo) -> None:
    """A navy T-shirt, laid flat."""
    body = curve(
        (360, 150),
        (250, 190),
        (110, 360),
        (220, 450),
        (290, 400),
        (285, 860),
        (500, 875),
        (715, 860),
        (710, 400),
        (780, 450),
        (890, 360),
        (750, 190),
        (640, 150),
        (500, 205),
    )
    photo.part(body, slope("#1f2d5c", 0.16))
    photo.part(curve((372, 152), (500, 222), (628, 152), closed=False), [shade("#35457c", 0)] * 2, width=22)
    for x0, x1 in ((292, 330), (708, 668)):
        photo.glow(curve((x0, 400), ((x0 + x1) / 2, 560), (x0, 840), (x1, 620)), "#0a1230", 0.6, 10)
    photo.glow(curve((400, 300), (560, 280), (600, 420), (430, 480)), "#5f72b5", 0.28, 34)
    photo.part(oval(425, 395, 575, 545), slope("#f8dc32", 0.1))
    photo.part(
        curve((440, 510), (480, 450), (505, 485), (530, 440), (560, 512), (500, 535)), slope("#f28a1c", 0.1)
    )


def bottle(photo: Photo) -> None:
    """A green glass bottle with a cream label."""
    photo.shadow(350, 650, 925)
    glass = [
        (445, 110),
        (445, 300),
        *curve((440, 310), (400, 400), (350, 480), closed=False),
        (350, 900),
        (380, 930),
        (620, 930),
        (650, 900),
        (650, 480),
        *curve((650, 480), (600, 400), (560, 310), closed=False),
        (555, 110),
    ]
    photo.part(glass, around("#1f7a3d", 0.55), across=True)
    photo.part(slab(436, 66, 564, 176, 14), around("#a87f3d", 0.4), across=True)
    photo.part(slab(352, 570, 648, 800, 4), around("#f5ead0", 0.2), across=True)
    photo.part([(375, 592), (625, 592)], [shade("#1f7a3d", 0)] * 2, width=5)
    photo.part([(375, 778), (625, 778)], [shade("#1f7a3d", 0)] * 2, width=5)
    photo.part(curve((500, 625), (560, 690), (500, 750), (440, 690)), slope("#2f9a48"))
    photo.glow(slab(385, 500, 405, 900, 9), "#ffffff", 0.6, 7)
    photo.glow(slab(462, 190, 474, 330, 6), "#ffffff", 0.6, 5)


def watch(photo: Photo) -> None:
    """A gold wrist watch on a brown strap."""
    photo.part(slab(395, 40, 605, 330, 30), around("#5a3420", 0.4), across=True)
    photo.part(slab(395, 670, 605, 960, 30), around("#5a3420", 0.4), across=True)
    for x in (412, 588):
        photo.part([(x, 60), (x, 300)], [shade("#a9794f", 0)] * 2, width=4)
        photo.part([(x, 700), (x, 940)], [shade("#a9794f", 0)] * 2, width=4)
    photo.part(slab(735, 470, 785, 530, 12), slope("#b48a22", 0.4))
    photo.part(oval(250, 250, 750, 750), around("#cfa52e", 0.6), across=True)
    photo.part(oval(288, 288, 712, 712), slope("#8a6a18", 0.2))
    photo.part(oval(300, 300, 700, 700), slope("#f3efe6", 0.1))
    for hour in range(12):
        reach = 150 if hour % 3 else 135
        mark = [_on_dial(hour, reach), _on_dial(hour, 178)]
        photo.part(mark, [shade("#3a2b10", 0)] * 2, width=9)
    photo.part([(500, 500), (415, 425)], [shade("#2b2110", 0)] * 2, width=15)
    photo.part([(500, 500), (610, 390)], [shade("#2b2110", 0)] * 2, width=10)
    photo.part(oval(483, 483, 517, 517), slope("#cfa52e"))
    photo.glow(curve((330, 420), (450, 320), (560, 320), (380, 480)), "#ffffff", 0.5, 16)


def _on_dial(hour: int, reach: float) -> Point:
    turn = math.radians(30 * hour)
    return 500 + reach * math.cos(turn), 500 + reach * math.sin(turn)


def lamp(photo: Photo) -> None:
    """A yellow table lamp that is switched on."""
    photo.glow(oval(120, 90, 880, 700), "#fff6c9", 0.14, 70)
    photo.shadow(330, 670, 900)
    photo.part(slab(484, 440, 516, 860, 10), around("#b98a4e", 0.5), across=True)
    photo.part(oval(340, 850, 660, 925), around("#8a5f30", 0.4), across=True)
    photo.part(oval(340, 836, 660, 906), around("#c1935f", 0.4), across=True)
    photo.part(
        [(380, 150), *oval(240, 420, 760, 500, 180, 0), (620, 150)], around("#f8d52a", 0.4), across=True
    )
    photo.part(oval(380, 132, 620, 168), slope("#fff2a8"))
    photo.glow(oval(380, 330, 620, 470), "#fffbe2", 0.7, 40)


def chair(photo: Photo) -> None:
    """A teal chair on wooden legs."""
    photo.shadow(280, 760, 915)
    wood = slope("#7c4a2a", 0.3)
    for top, foot in ((370, 330), (640, 690), (330, 260), (690, 770)):
        photo.part([(top, 630), (foot, 900 if top in (330, 690) else 850)], wood, width=30)
    photo.part(
        curve((300, 180), (500, 130), (700, 180), (720, 420), (690, 570), (500, 590), (310, 570), (280, 420)),
        around("#157a7e", 0.35),
        across=True,
    )
    photo.part(
        curve((345, 225), (500, 190), (655, 225), (668, 400), (640, 520), (500, 535), (360, 520), (332, 400)),
        around("#1e9297", 0.3),
        across=True,
    )
    photo.part(
        curve((270, 580), (500, 545), (730, 580), (760, 640), (720, 690), (500, 705), (280, 690), (240, 640)),
        slope("#1c8a8f", 0.35),
    )
    for x, y in ((430, 300), (570, 300), (430, 430), (570, 430)):
        photo.part(oval(x - 13, y - 13, x + 13, y + 13), slope("#0c4d50"))


def book(photo: Photo) -> None:
    """A hardback with a printed cover."""
    photo.glow(slab(230, 110, 830, 930, 12), "#1b120a", 0.6, 22)
    photo.part(slab(226, 92, 806, 908, 10), slope("#f3ead6", 0.1))
    photo.part(slab(200, 80, 790, 900, 12), around("#6d1226", 0.2), across=True)
    photo.part(slab(200, 80, 246, 900, 8), around("#4a0a18", 0.3), across=True)
    rule = slab(280, 120, 756, 860, 6)
    photo.part([*rule, rule[0]], [shade("#e9c46a", 0)] * 2, width=6)
    lines = (
        ("THE QUIET", 210, 76),
        ("WORKSHOP", 300, 76),
        ("A handbook of small repairs", 400, 33),
        ("for every room of the house", 445, 33),
    )
    for text, y, size in (*lines, ("Third edition, revised", 760, 32), ("M. Halloran", 815, 44)):
        photo.write(text, (518, y), size, "#f8ebc8")
    photo.part(oval(440, 510, 596, 666), slope("#e9c46a", 0.2), width=12)
    photo.part([(518, 545), (518, 590), (552, 612)], [shade("#e9c46a", 0)] * 2, width=11)


def headphones(photo: Photo) -> None:
    """Black over-ear headphones with coral cushions."""
    photo.shadow(170, 830, 860, 0.35)
    band = curve(
        (230, 620), (225, 380), (330, 200), (500, 145), (670, 200), (775, 380), (770, 620), closed=False
    )
    photo.part(band, slope("#26262b", 0.3), width=52)
    photo.part(
        curve((300, 262), (390, 186), (500, 160), (610, 186), (700, 262), closed=False),
        [shade("#6b6b75", 0)] * 2,
        width=10,
    )
    for x, inwards in ((230, 1), (770, -1)):
        inner = sorted((x + inwards * 30, x + inwards * 120))
        outer = sorted((x - inwards * 80, x + inwards * 55))
        photo.part(slab(inner[0], 500, inner[1], 830, 42), around("#f9785a", 0.35), across=True)
        photo.part(slab(outer[0], 480, outer[1], 850, 60), around("#2d2d33", 0.45), across=True)
        photo.part(oval(x - 50, 600, x + 26, 730), slope("#45454e", 0.2), width=8)


def plant(photo: Photo) -> None:
    """A leafy plant in a terracotta pot."""
    photo.shadow(340, 660, 915)
    for turn, length, tone in (
        (-78, 330, -0.2),
        (78, 330, -0.2),
        (-52, 420, 0),
        (52, 420, 0),
        (-26, 470, 0.12),
        (26, 470, 0.12),
        (0, 520, 0.2),
    ):
        photo.part(_leaf(turn, length), slope("#{:02x}{:02x}{:02x}".format(*shade("#2f9a48", tone)), 0.3))
        photo.part(_vein(turn, length), [shade("#9fd8a8", 0)] * 2, width=5)
    photo.part(
        [(345, 640), (655, 640), (615, 900), (590, 920), (410, 920), (385, 900)],
        around("#c8683c", 0.4),
        across=True,
    )
    photo.part(slab(322, 600, 678, 682, 16), around("#d97a4a", 0.4), across=True)


def _leaf(turn: float, length: float) -> Outline:
    """Trace a leaf that grows from the pot, `turn` degrees from upright."""
    sides = ((0, 0), (0.3, 62), (0.62, 78), (0.88, 36), (1, 0), (0.88, -36), (0.62, -78), (0.3, -62))
    return curve(*(_grown(turn, along * length, aside) for along, aside in sides))


def _vein(turn: float, length: float) -> Outline:
    return [_grown(turn, along * length, 0) for along in (0.1, 0.5, 0.92)]


def _grown(turn: float, along: float, aside: float) -> Point:
    angle = math.radians(turn)
    x, y = (
        along * math.sin(angle) + aside * math.cos(angle),
        -along * math.cos(angle) + aside * math.sin(angle),
    )
    return 500 + x, 620 + y


def sunglasses(photo: Photo) -> None:
    """Sunglasses with brown frames and dark lenses."""
    photo.shadow(110, 890, 690, 0.35)
    frame = slope("#7c4a2a", 0.35)
    photo.part(curve((430, 450), (500, 415), (570, 450), closed=False), frame, width=26)
    for x, edge in ((285, 90), (715, 910)):
        photo.part([(x, 415), (edge, 395)], frame, width=34)
        lens = curve((x - 165, 410), (x, 385), (x + 165, 410), (x + 150, 570), (x, 660), (x - 150, 570))
        photo.part(lens, [shade("#141414", 0), shade("#3a2d28", 0), shade("#7a5a48", 0)])
        photo.part([*lens, lens[0]], frame, width=28)
        photo.glow([(x - 100, 440), (x - 30, 430), (x - 90, 560), (x - 120, 560)], "#ffffff", 0.45, 7)


# --- the catalogue ----------------------------------------------------------------------------

Finish = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Shot:
    """How one sample is taken: product, backdrop, size in pixels, file, and what is done to it."""

    name: str
    file: str
    draw: Callable[[Photo], None]
    backdrop: Callable[[tuple[int, int]], Image.Image]
    size: tuple[int, int]
    question: str
    expected: dict[str, Any]
    finish: Finish | None = None
    options: dict[str, Any] = field(default_factory=dict)


def blurred(image: Image.Image) -> Image.Image:
    """Miss the focus."""
    return image.filter(ImageFilter.GaussianBlur(image.width / 110))


def underexposed(image: Image.Image) -> Image.Image:
    """Leave most of the light away."""
    return image.point([round(value * 0.38) for value in range(256)] * 3)


def grainy(image: Image.Image) -> Image.Image:
    """Raise the sensitivity too far: the same grain every time."""
    grain = Image.frombytes("L", image.size, random.Random(7).randbytes(image.width * image.height))  # noqa: S311 - grain
    soft = grain.filter(ImageFilter.GaussianBlur(1.1))
    strong = soft.point([max(0, min(255, round(128 + 0.8 * (value - 128)))) for value in range(256)])
    return ImageChops.add(image, Image.merge("RGB", [strong] * 3), offset=-128)


def cut_out(image: Image.Image) -> Image.Image:
    """Make the white around the product transparent; no product that is cut out has white in it."""
    red, green, blue = ImageChops.invert(image).split()
    ink = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    image.putalpha(ink.point([min(255, 6 * value) for value in range(256)]))
    return image


def on_its_side(image: Image.Image) -> Image.Image:
    """Store the pixels as a phone held upright does, for a viewer to turn back."""
    return image.transpose(Image.Transpose.ROTATE_90)


def phone_exif() -> Image.Exif:
    """Write what a phone writes: orientation 6 and a place (the observatory in Greenwich)."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[GPS] = {1: "N", 2: (51.0, 28.0, 40.0), 3: "W", 4: (0.0, 0.0, 5.0)}
    return exif


SHOTS = (
    Shot(
        "mug",
        "mug.jpg",
        mug,
        plain,
        (1200, 1200),
        "Is the background plain white, and what colour is the mug?",
        {"color": "red", "background": "plain", "background_color": "white"},
    ),
    Shot(
        "trainer",
        "trainer.jpg",
        trainer,
        partial(plain, color="#f4f6f8"),
        (1500, 1200),
        "What are the main colours of this shoe?",
        {"color": "blue", "background": "plain", "orientation": 6, "gps": True},
        on_its_side,
        {"exif": phone_exif},
    ),
    Shot(
        "handbag",
        "handbag.png",
        handbag,
        partial(plain, color="#f6c8d4"),
        (1000, 1000),
        "Describe this handbag for the product page.",
        {"color": "tan", "background": "plain", "background_color": "pink"},
    ),
    Shot(
        "t-shirt",
        "t-shirt.png",
        t_shirt,
        plain,
        (1000, 1000),
        "Which colour should the filter list for this T-shirt?",
        {"color": "navy", "background": "plain", "alpha": True},
        cut_out,
    ),
    Shot(
        "bottle",
        "bottle.webp",
        bottle,
        partial(gradient, top="#fdf3e2", bottom="#d9a76a"),
        (900, 1400),
        "Is the bottle well lit and in focus?",
        {"color": "green", "background": "gradient"},
    ),
    Shot(
        "watch",
        "watch.jpg",
        watch,
        partial(gradient, top="#777a86", bottom="#3c3d46"),
        (1000, 1000),
        "Is this photo bright enough for the shop?",
        {"exposure": "dark"},
        underexposed,
    ),
    Shot(
        "lamp",
        "lamp.jpg",
        lamp,
        partial(plain, color="#6f8fa8"),
        (2400, 3000),
        "What colours are the lamp and the wall?",
        {"color": "yellow", "background": "plain", "progressive": True},
        None,
        {"progressive": True},
    ),
    Shot(
        "chair",
        "chair.jpg",
        chair,
        room,
        (1200, 1200),
        "Is the background too busy for the catalogue?",
        {"background": "busy", "mode": "CMYK"},
        lambda image: image.convert("CMYK"),
    ),
    Shot(
        "book",
        "book.jpg",
        book,
        partial(gradient, top="#d8c6a4", bottom="#b99b6b"),
        (1200, 1500),
        "Does the picture contain text?",
        {"color": "burgundy", "text": True},
    ),
    Shot(
        "headphones",
        "headphones.jpg",
        headphones,
        partial(plain, color="#cfd3da"),
        (1000, 1000),
        "Is the picture noisy or blurred?",
        {"noisy": True, "sharp": True},
        grainy,
    ),
    Shot(
        "plant",
        "plant.gif",
        plant,
        partial(gradient, top="#eaf6f2", bottom="#b5d9cf"),
        (800, 800),
        "How much of the picture does the plant fill?",
        {"color": "green", "background": "gradient"},
    ),
    Shot(
        "sunglasses",
        "sunglasses.jpg",
        sunglasses,
        plain,
        (1600, 1000),
        "Is this photo sharp enough to publish?",
        {"sharp": False},
        blurred,
    ),
)


def draw_samples(folder: Path) -> list[Sample]:
    """Draw the samples that are not there yet into a folder, and list all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        if not (folder / shot.file).exists():
            _save(shot, folder)
    return [Sample(shot.name, folder / shot.file, shot.question, shot.expected) for shot in SHOTS]


def _save(shot: Shot, folder: Path) -> None:
    """Take one shot; the file appears whole or not at all."""
    options = {key: value() if callable(value) else value for key, value in shot.options.items()}
    part = folder / f".{shot.file}"
    kind = Image.registered_extensions()[part.suffix]
    _take(shot).save(part, kind, quality=88, **options)
    part.replace(folder / shot.file)


def _take(shot: Shot) -> Image.Image:
    scale = min(1.0, DRAWN_AT_MOST / max(shot.size))
    photo = Photo(shot.backdrop((round(shot.size[0] * scale), round(shot.size[1] * scale))))
    shot.draw(photo)
    image = photo.image if scale == 1 else photo.image.resize(shot.size, Image.Resampling.BICUBIC)
    return shot.finish(image) if shot.finish else image

"""Names for colours: the nearest entry of a fixed table, as the eye judges nearness.

Colours are compared in CIELAB (D65, 2°) by the CIE94 difference with graphic-arts weights
(CIE 116-1995). Table values follow the CSS Color 4 names where one exists and are otherwise
typical of what a shop would call by that name.
"""

import math
from dataclasses import dataclass
from functools import cache

RGB = tuple[int, int, int]
Lab = tuple[float, float, float]

D65_WHITE = (0.95047, 1.0, 1.08883)


@dataclass(frozen=True, eq=False)  # compared by identity: there is one of each
class NamedColor:
    """One entry of the table, named in the three languages of the answers."""

    en: str
    hex: str
    ko: str
    zh: str


NAMED_COLORS = (
    NamedColor("white", "#ffffff", "흰색", "白色"),
    NamedColor("light grey", "#cccccc", "연회색", "浅灰色"),
    NamedColor("grey", "#8a8a8a", "회색", "灰色"),
    NamedColor("dark grey", "#4d4d4f", "진회색", "深灰色"),
    NamedColor("black", "#141414", "검은색", "黑色"),
    NamedColor("cream", "#f5ead0", "크림색", "奶油色"),
    NamedColor("beige", "#d8c6a4", "베이지색", "米色"),
    NamedColor("tan", "#c1935f", "황갈색", "棕褐色"),
    NamedColor("brown", "#7c4a2a", "갈색", "棕色"),
    NamedColor("dark brown", "#43281a", "진갈색", "深棕色"),
    NamedColor("burgundy", "#6d1226", "버건디색", "酒红色"),
    NamedColor("red", "#d7262b", "빨간색", "红色"),
    NamedColor("coral", "#f9785a", "코랄색", "珊瑚色"),
    NamedColor("orange", "#f28a1c", "주황색", "橙色"),
    NamedColor("peach", "#fbceb1", "살구색", "桃色"),
    NamedColor("gold", "#cfa52e", "금색", "金色"),
    NamedColor("yellow", "#f8dc32", "노란색", "黄色"),
    NamedColor("olive", "#6f6f25", "올리브색", "橄榄色"),
    NamedColor("lime", "#a4d83a", "라임색", "青柠色"),
    NamedColor("green", "#2f9a48", "초록색", "绿色"),
    NamedColor("dark green", "#17492b", "진초록색", "深绿色"),
    NamedColor("mint", "#aee3cb", "민트색", "薄荷绿"),
    NamedColor("turquoise", "#3fcfc4", "터키석색", "青绿色"),
    NamedColor("teal", "#157a7e", "청록색", "蓝绿色"),
    NamedColor("sky blue", "#8cc9ee", "하늘색", "天蓝色"),
    NamedColor("blue", "#2462d0", "파란색", "蓝色"),
    NamedColor("slate blue", "#5b7290", "회청색", "灰蓝色"),
    NamedColor("navy", "#1a2750", "남색", "藏青色"),
    NamedColor("lavender", "#bcaae2", "라벤더색", "淡紫色"),
    NamedColor("purple", "#7a309a", "보라색", "紫色"),
    NamedColor("magenta", "#d42a9c", "자홍색", "洋红色"),
    NamedColor("pink", "#f4a3c0", "분홍색", "粉色"),
)


def to_lab(rgb: RGB) -> Lab:
    """Convert sRGB (0..255 each) to CIELAB: L* 0..100, a* and b* about -128..127."""
    red, green, blue = (_linear(channel / 255) for channel in rgb)
    x = _lightness((0.4124 * red + 0.3576 * green + 0.1805 * blue) / D65_WHITE[0])
    y = _lightness((0.2126 * red + 0.7152 * green + 0.0722 * blue) / D65_WHITE[1])
    z = _lightness((0.0193 * red + 0.1192 * green + 0.9505 * blue) / D65_WHITE[2])
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _linear(channel: float) -> float:
    """Undo the sRGB transfer curve (IEC 61966-2-1)."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _lightness(ratio: float) -> float:
    """Apply CIELAB's cube root with its linear foot (CIE 15)."""
    return ratio ** (1 / 3) if ratio > 216 / 24389 else (24389 / 27 * ratio + 16) / 116


def distance(one: Lab, other: Lab) -> float:
    """Give the plain Euclidean difference (CIE76); about 2.3 is just noticeable."""
    return math.dist(one, other)


def perceived_distance(reference: Lab, sample: Lab) -> float:
    """Give the CIE94 difference, which forgives differences in strength of vivid colours."""
    chroma = math.hypot(reference[1], reference[2])
    lightness_step = reference[0] - sample[0]
    chroma_step = chroma - math.hypot(sample[1], sample[2])
    hue_squared = max(0.0, distance(reference, sample) ** 2 - lightness_step**2 - chroma_step**2)
    return math.sqrt(
        lightness_step**2
        + (chroma_step / (1 + 0.045 * chroma)) ** 2
        + hue_squared / (1 + 0.015 * chroma) ** 2
    )


def from_hex(text: str) -> RGB:
    """Read `#rrggbb`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def to_hex(rgb: RGB) -> str:
    """Write `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


# Bounded by the 32,768 colours that remain after `palette` rounds each channel to five bits.
@cache
def nearest(rgb: RGB) -> NamedColor:
    """Find the table's entry that looks most like a colour."""
    lab = to_lab(rgb)
    return min(NAMED_COLORS, key=lambda color: perceived_distance(_table_lab(color), lab))


@cache
def _table_lab(color: NamedColor) -> Lab:
    return to_lab(from_hex(color.hex))

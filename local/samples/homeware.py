"""Products that stand about in a home."""

import math

from local.samples.outlines import Outline, Point, curve, oval, slab
from local.samples.paint import around, shade, slope
from local.samples.photo import Photo


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

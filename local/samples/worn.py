"""Products that are worn or carried."""

import math

from local.samples.outlines import Point, curve, oval, slab
from local.samples.paint import around, shade, slope
from local.samples.photo import Photo


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

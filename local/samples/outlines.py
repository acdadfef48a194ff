"""The outlines that products are made of, as points in board units."""

import math

Point = tuple[float, float]
Outline = list[Point]


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

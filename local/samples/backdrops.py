"""What stands behind a product."""

import math

from PIL import Image, ImageDraw

from local.samples.paint import ramp, shade


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

"""What is done to a finished photo: the faults and oddities that uploads come with."""

import random

from PIL import Image, ImageChops, ImageFilter

ORIENTATION, GPS = 0x0112, 0x8825


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

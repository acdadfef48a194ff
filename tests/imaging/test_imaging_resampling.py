"""Whoever resamples makes the same picture, whatever its layout and shape, and ends no process."""

import platform
import random
import sys
from contextlib import suppress
from io import BytesIO

import pytest
from hostile import encoded, textured
from PIL import Image, ImageChops, ImageStat

from core.errors import ImageTooLarge
from worker import resampling
from worker.imaging import Policy, prepare
from worker.preparer import Preparer
from worker.resampling import premultiplied, resampled

MODES = ["L", "La", "RGB", "RGBa", "CMYK", "YCbCr", "LAB"]
BOXES = [None, (0, 0, 299.5, 200.25), (3.75, 0, 300, 201)]


def picture(mode):
    made = textured(300, 201)
    if mode.endswith("a"):
        made.putalpha(Image.radial_gradient("L").resize(made.size))
        made = made.convert("LA") if mode == "La" else made
    return made.convert(mode)


@pytest.fixture(scope="module")
def preparer():
    with Preparer(deadline=120) as started:
        yield started


def differences(one, other):
    """The channels of both, subtracted, in levels."""
    return [
        ImageChops.difference(one.getchannel(band), other.getchannel(band))
        for band in range(len(one.getbands()))
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("size", [(299, 200), (150, 101), (37, 25), (9, 190), (1, 1), (310, 220)])
def test_it_is_the_picture_that_pillow_makes(mode, size, box):
    image = picture(mode)
    made, expected = resampled(image, size, box), image.resize(size, Image.Resampling.BICUBIC, box)
    assert (made.mode, made.size) == (mode, size)
    tolerance = 4 if mode in resampling._MODES else 64  # the others are averaged first
    assert max(high for one in differences(made, expected) for _, high in [one.getextrema()]) <= tolerance


def test_transparency_is_weighed_as_pillow_does_it():
    image = Image.frombytes("RGBA", (256, 257), random.Random(1).randbytes(256 * 257 * 4))
    image.info = {"icc_profile": b"profile"}
    made = premultiplied(image)
    assert (made.mode, made.im.mode, made.info) == ("RGBa", "RGBa", image.info)
    assert made.tobytes() == image.convert("RGBa").tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_what_an_image_says_of_its_colours_stays_with_it(mode):
    image = picture(mode)
    image.info = {"icc_profile": b"profile"}
    made = resampled(image, (100, 67))
    assert made.info == image.info
    assert made.info is not image.info


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (1, 128, 254)])
def test_what_is_of_one_colour_stays_so(colour):
    assert resampled(Image.new("RGB", (1200, 900), colour), (1024, 768)).getextrema() == tuple(
        (level, level) for level in colour
    )


def test_there_is_a_faster_way_than_pillow_wherever_there_is_a_wheel_of_it():
    has_wheel = platform.machine() == "x86_64" or sys.platform == "darwin"
    assert bool(resampling._MODES) == has_wheel


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_without_it_pillow_makes_a_picture_of_the_same_size_and_look(monkeypatch, name):
    content, policy = encoded(textured(1200, 900), name), Policy(best_side=1024)
    with_it = prepare(content, policy)
    monkeypatch.setattr(resampling, "_MODES", frozenset())
    without = prepare(content, policy)
    assert (with_it.width, with_it.height, with_it.actions) == (
        without.width,
        without.height,
        without.actions,
    )
    looks = [Image.open(BytesIO(one.content)) for one in (with_it, without)]
    assert max(ImageStat.Stat(ImageChops.difference(*looks)).mean) < 1


@pytest.mark.parametrize("best_side", [64, 4096])
@pytest.mark.parametrize("size", [(25_000_000, 1), (1, 1_000_000), (65_535, 381), (381, 65_536)], ids=str)
def test_a_picture_of_any_shape_is_resampled_in_the_memory_of_a_process(preparer, size, best_side):
    prepared = preparer.prepare(encoded(Image.new("L", size), "PNG"), Policy(best_side=best_side))
    assert best_side - 1 <= max(prepared.width, prepared.height) <= best_side


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_the_largest_picture_is_made_into_the_largest_that_is_sent_in_the_memory_of_a_process(preparer, name):
    content = encoded(Image.new("RGBA", (5000, 5000), (9, 99, 199, 99)), name)
    prepared = preparer.prepare(content, Policy(best_side=4096))
    assert (prepared.width, prepared.height) == (4096, 4096)


@pytest.mark.parametrize("limit", [70, 80, 90, 100])
def test_where_memory_runs_out_the_picture_is_named_and_the_process_lives_on(limit):
    content = encoded(Image.new("L", (8000, 8000)), "PNG")
    with Preparer(memory_limit=limit * 1_000_000, deadline=60) as preparer:
        preparer.warm()
        before = preparer._decoders[0]._child
        with suppress(ImageTooLarge):
            preparer.prepare(content, Policy(best_side=4096, max_pixels=64_000_000))
        assert preparer.prepare(encoded(textured(96, 64), "PNG"), Policy()).width == 96
        assert preparer._decoders[0]._child is before

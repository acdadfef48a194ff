"""What pictures look like, in numbers: near for the same, far for others, and there for any picture."""

import io
import random

import pytest
from PIL import Image, ImageDraw, ImageOps

from core import layout
from core.likeness import BITS, DIMENSIONS
from worker import features
from worker.imaging import Policy, prepare

PAPER, MUG = (250, 250, 248), (190, 40, 30)


def product(color=MUG, size=(800, 600), at=(0.3, 0.25), paper=PAPER):
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    left, top = round(at[0] * size[0]), round(at[1] * size[1])
    draw.rectangle((left, top, left + size[0] // 3, top + size[1] // 2), fill=color)
    draw.ellipse((left + 40, top + 30, left + 120, top + 160), fill=(30, 60, 160))
    return image


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_the_same_picture_gives_the_same_numbers():
    assert features.measure(product()) == features.measure(product())


def test_there_are_as_many_numbers_as_the_database_keeps():
    found = features.measure(product())
    assert (len(found.hash) * 8, len(found.layout), len(found.vector)) == (
        BITS,
        layout.CHANNELS * layout.SIDE**2,
        DIMENSIONS,
    )
    assert all(-10 < value < 10 for value in found.vector)


@pytest.mark.parametrize("size", [(400, 300), (1600, 1200), (250, 188)])
def test_a_picture_in_another_size_is_near(size):
    assert features.measure(product()).is_near(features.measure(product().resize(size)))


def test_a_small_crop_is_near_and_a_large_one_is_not():
    whole = features.measure(product())
    assert whole.is_near(features.measure(product().crop((30, 10, 790, 580))))
    assert not whole.is_near(features.measure(product().crop((300, 200, 700, 500))))


@pytest.mark.parametrize("color", [(30, 40, 190), (40, 160, 60), (230, 200, 40)])
def test_another_colour_of_a_product_is_not_near_though_its_hash_may_be(color):
    assert not features.measure(product()).is_near(features.measure(product(color)))


def test_being_near_does_not_depend_on_who_is_asked():
    one, other = features.measure(product()), features.measure(product(at=(0.4, 0.3)))
    assert one.strangeness(other) == other.strangeness(one)
    assert one.hash_distance(other) == other.hash_distance(one)


def test_a_product_elsewhere_before_the_same_paper_has_the_same_shape_and_colours():
    reasons = features.measure(product()).reasons(features.measure(product(at=(0.45, 0.4))))
    assert "same colours" in reasons
    assert "same shape" in reasons


def test_a_mirrored_product_has_the_same_colours_and_is_no_duplicate():
    aside = product(at=(0.05, 0.2))
    reasons = features.measure(aside).reasons(features.measure(ImageOps.mirror(aside)))
    assert "same colours" in reasons
    assert "near-duplicate" not in reasons


def test_a_prepared_image_comes_with_what_its_upright_opaque_picture_looks_like():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(product().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    plain = prepare(encoded(product()), Policy())
    assert plain.features.is_near(prepare(turned, Policy()).features)


def test_the_size_at_which_a_picture_is_sent_makes_no_difference():
    content = encoded(product(size=(2400, 1800)))
    low, high = (prepare(content, Policy(best_side=side)).features for side in (512, 2048))
    assert low.is_near(high)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 3), (64, 64), (257, 5)])
@pytest.mark.parametrize("color", ["white", "black", (128, 127, 129)])
def test_a_picture_of_any_size_and_nothing_in_it_has_features(size, color):
    found = features.measure(Image.new("RGB", size, color))
    assert len(found.vector) == DIMENSIONS
    assert found.is_near(found)


def test_pictures_of_noise_have_features_and_are_not_near_each_other():
    dice = random.Random(1)
    one, other = (Image.frombytes("RGB", (40, 30), dice.randbytes(3600)) for _ in range(2))
    assert not features.measure(one).is_near(features.measure(other))

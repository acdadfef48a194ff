"""A JPEG is decoded at the fractions of its size that are counted on, and at no size that is not."""

from io import BytesIO

import pytest
from hostile import encoded, textured
from PIL import Image, ImageChops, ImageFilter, ImageStat

from core.image_sizes import EIGHTHS, in_eighths
from worker.imaging import Policy, prepare
from worker.jpeg_decoder import JpegFile


@pytest.mark.parametrize("eighths", EIGHTHS)
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 5), (333, 257), (1000, 750), (2401, 3)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_it_comes_in_as_many_eighths_as_were_asked_for(eighths, size, mode):
    target = in_eighths(size, eighths)
    with JpegFile(BytesIO(encoded(textured(*size).convert(mode), "JPEG"))) as source:
        drafted = source.draft(None, target)
        source.load()
        assert source.size == target
        assert drafted == (mode, (0, 0, *(pytest.approx(side, abs=1) for side in target)))


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=str)
@pytest.mark.parametrize("eighths", EIGHTHS)
def test_each_fraction_shows_the_whole_picture(eighths, options):
    picture = textured(801, 601).filter(ImageFilter.GaussianBlur(8))
    target = in_eighths(picture.size, eighths)
    with JpegFile(BytesIO(encoded(picture, "JPEG", quality=95, **options))) as source:
        source.draft(None, target)
        source.load()
        whole = picture.resize(target, Image.Resampling.LANCZOS)
        assert max(ImageStat.Stat(ImageChops.difference(source.convert("RGB"), whole)).mean) < 5


@pytest.mark.parametrize(
    ("asked", "made"),
    [(801, 801), (402, 801), (401, 401), (302, 401), (301, 301), (202, 301), (101, 101), (1, 101)],
)
def test_what_is_decoded_is_the_least_that_is_not_smaller_than_asked(asked, made):
    with JpegFile(BytesIO(encoded(textured(801, 601), "JPEG"))) as source:
        source.draft(None, (asked, 1))
        assert source.size[0] == made


@pytest.mark.parametrize("orientation", [1, 6])
def test_three_eighths_are_taken_where_they_are_near_enough(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    prepared = prepare(encoded(textured(2000, 1500), "JPEG", exif=exif), Policy(best_side=768))
    size = (prepared.width, prepared.height)
    assert (size if orientation == 1 else size[::-1]) == (750, 563)

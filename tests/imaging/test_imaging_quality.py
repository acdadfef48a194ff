"""Measures of photographs, on pictures whose truth is known, and the rules of marketplaces."""

import io
import random
from datetime import date

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from core import quality
from core.errors import InvalidRequest
from core.presets import Presets
from worker.imaging import Policy
from worker.quality import SIDE, measure


def product(size=(1200, 1200), ground="white", box=(0.05, 0.1, 0.95, 0.9)):
    """Stripes, which are sharp, before an even background."""
    image = Image.new("RGB", size, ground)
    left, top, right, bottom = (round(part * size[place % 2]) for place, part in enumerate(box))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, right - 1, bottom - 1), fill="#c04020")
    for x in range(left, right - 20, 40):
        draw.rectangle((x, top, x + 19, bottom - 1), fill="#204080")
    return image


def measured(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return measure(buffer.getvalue(), Policy(best_side=SIDE))


def broken(name, image, **options):
    return {
        found["measure"] for found in quality.rule_sets()[name].judge(measured(image, **options))["reasons"]
    }


def test_size_is_that_of_the_original_as_it_is_seen():
    exif = Image.Exif()
    exif[0x0112] = 6
    found = measured(product((3000, 2000)), "JPEG", exif=exif)
    assert (found["width"], found["height"], found["megapixels"]) == (2000, 3000, 6.0)
    assert found["format"] == "JPEG"


@pytest.mark.parametrize(
    ("box", "share", "extent"), [((0.1, 0.2, 0.9, 0.8), 0.48, 0.8), ((0.4, 0.4, 0.6, 0.6), 0.04, 0.2)]
)
def test_the_share_of_the_subject_is_what_it_takes_of_the_frame(box, share, extent):
    found = measured(product(box=box))
    assert found["subject_share"] == pytest.approx(share, abs=0.02)
    assert found["subject_extent"] == pytest.approx(extent, abs=0.02)
    assert (found["background_white"], found["background_evenness"]) == (1.0, 1.0)


def test_what_is_the_subject_before_an_uneven_background_is_left_open():
    noise = Image.frombytes("RGB", (60, 60), random.Random(1).randbytes(10_800)).resize((600, 600))
    assert measured(noise)["subject_share"] is None


def test_a_picture_of_one_colour_has_no_subject():
    assert measured(Image.new("RGB", (800, 800), "white"))["subject_extent"] == 0.0


def test_a_nearly_white_background_is_not_white():
    assert measured(product(ground="#f0f0f0"))["background_white"] == 0.0


def test_transparency_is_seen_on_white():
    image = product().convert("RGBA")
    apart = ImageChops.difference(product(), Image.new("RGB", image.size, "white")).convert("L")
    image.putalpha(apart.point([0] + [255] * 255))
    assert measured(image)["background_white"] == 1.0


def test_blur_noise_and_light_are_told_apart():
    sharp = measured(product())
    blurred = measured(product().filter(ImageFilter.GaussianBlur(12)))
    assert blurred["sharpness"] < 0.3 < sharp["sharpness"]
    grain = Image.effect_noise((1200, 1200), 40).convert("RGB")
    assert measured(Image.blend(product(), grain, 0.5))["noise"] > sharp["noise"] + 1
    assert measured(product(ground="black"))["brightness"] < sharp["brightness"]
    assert measured(Image.new("RGB", (800, 800), "#808080"))["contrast"] < 0.01 < sharp["contrast"]


def test_a_frame_is_seen_and_a_background_is_none():
    framed = product()
    ImageDraw.Draw(framed).rectangle((0, 0, 1199, 1199), outline="#202020", width=20)
    assert measured(framed)["has_border"] is True
    assert measured(product())["has_border"] is False
    assert measured(product(box=(0, 0, 1, 1)))["has_border"] is False


def rectangle(margin, kind, ground="white", side=1600):
    """A rectangular product that fills all but a margin."""
    image = Image.new("RGB", (side, side), ground)
    box = (margin, margin, side - margin - 1, side - margin - 1)
    if kind == "shadowed":
        shadow = Image.new("L", image.size)
        ImageDraw.Draw(shadow).rectangle([at + 10 for at in box], fill=110)
        image.paste("black", mask=shadow.filter(ImageFilter.GaussianBlur(14)))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(box, radius=60 if kind == "rounded" else 0, fill="#c02020")
    if kind == "striped":
        for x in range(margin, side - margin - 30, 80):
            draw.rectangle((x, margin, x + 29, box[3]), fill="#204080")
    if kind == "printed":
        draw.ellipse((500, 500, 1100, 1100), fill="white")
    return image


@pytest.mark.parametrize("margin", [40, 75, 110])
@pytest.mark.parametrize("kind", ["plain", "rounded", "shadowed", "striped", "printed"])
def test_a_rectangular_product_within_a_margin_has_no_frame(kind, margin):
    assert measured(rectangle(margin, kind), "JPEG", quality=90)["has_border"] is False


@pytest.mark.parametrize("color", ["black", "#c00000"])
@pytest.mark.parametrize("width", [1, 3, 12, 40])
def test_a_frame_is_seen_however_thin_and_what_it_surrounds_is_measured_inside(width, color):
    framed = rectangle(160, "rounded")
    ImageDraw.Draw(framed).rectangle((0, 0, 1599, 1599), outline=color, width=width)
    found = measured(framed, "JPEG", quality=90)
    assert found["has_border"] is True
    assert found["background_white"] >= 0.98
    assert found["subject_share"] == pytest.approx(0.64, abs=0.02)
    assert found["subject_extent"] == pytest.approx(0.8, abs=0.02)


def test_a_dark_ground_that_grows_light_is_no_frame():
    lit = Image.radial_gradient("L").resize((1600, 1600)).point(lambda level: 255 - level)
    assert measured(lit.convert("RGB"))["has_border"] is False


def test_a_page_of_text_looks_like_text():
    page = Image.new("RGB", (1000, 1000), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(48)
    for line in range(12):
        draw.text((60, 60 + 70 * line), "FREE SHIPPING TODAY ONLY", "black", font)
    assert measured(page)["text_likelihood"] > 0.8 > measured(product())["text_likelihood"]


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 2), (20, 20)])
def test_the_smallest_pictures_can_be_measured(size):
    found = measured(Image.new("RGB", size, "red"))
    assert found["longest_side"] == max(size)


def test_a_good_main_image_passes_and_each_fault_is_told():
    assert broken("amazon-main", product()) == set()
    assert broken("amazon-main", product(ground="#dddddd")) == {"background_white"}
    assert broken("amazon-main", product(box=(0.3, 0.3, 0.7, 0.7))) == {"subject_extent"}
    assert broken("amazon-main", product((480, 480))) == {"longest_side"}
    assert broken("amazon-main", product(), form="WEBP", lossless=True) == {"format"}
    assert broken("ebay", product((480, 300))) == {"longest_side"}
    assert broken("11st", product((599, 900))) == {"shortest_side"}


def test_what_is_recommended_is_told_and_does_not_fail():
    verdict = quality.rule_sets()["amazon-main"].judge(measured(product((900, 900))))
    assert verdict["passed"] is True
    assert [found["level"] for found in verdict["reasons"]] == ["should"]
    assert "longest_side is 900 px, wanted at least 1,000 px" in verdict["reasons"][0]["reason"]


def test_a_frame_that_may_not_be_there_is_told_in_plain_words():
    [broken] = quality.rule_sets()["ebay"].judge({"has_border": True})["reasons"]
    assert broken["reason"] == "has_border is yes, wanted no: no frame around the picture"


def test_every_rule_set_says_where_it_is_from_and_asks_for_what_is_measured():
    measures = measured(product())
    assert len(quality.rule_sets()) >= 3
    for rules in quality.rule_sets().values():
        assert all(source.startswith("https://") for source in rules.sources)
        assert date.fromisoformat(rules.as_of)
        for rule in rules.rules:
            assert rule["measure"] in measures
            assert rule["level"] in {"must", "should"}
            assert len(rule.keys() & quality.KEEPS.keys()) == 1
            assert rule["why"]
    options = Presets().latest("quality").options["properties"]["rules"]
    assert sorted(options["items"]["enum"]) == sorted(quality.rule_sets())


def test_a_rule_set_that_there_is_not_is_refused():
    with pytest.raises(InvalidRequest, match="amazon-main"):
        quality.named(["nonsense"])

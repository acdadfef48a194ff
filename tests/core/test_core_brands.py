"""Brands by any spelling, and boxes back in the pixels they came from."""

import io
import sys

import pytest
from PIL import Image, ImageOps

from bench import brands as bench
from core.boxes import Frame
from core.brands import Known, Registry, key
from worker.imaging import Policy, prepare

NIKE = Known("1", "Nike", ("나이키", "ナイキ", "耐克"))
ADIDAS = Known("2", "Adidas", ("아디다스",))
OTHERS = [
    Known("3", "H&M"),
    Known("4", "Café Noir"),
    Known("5", "資生堂", ("Shiseido",)),
    Known("6", "Brenna"),
    Known("7", "Brenno"),
]
SHOP = Registry([NIKE, ADIDAS, *OTHERS])


@pytest.mark.parametrize(
    ("said", "brand"),
    [
        ("NIKE", "Nike"),
        ("Nike™", "Nike"),
        ("nike, inc.", "Nike"),
        ("Nikee", "Nike"),
        ("나이키", "Nike"),
        ("㈜나이키", "Nike"),
        ("나이기", "Nike"),
        ("ナイキ", "Nike"),
        ("耐克", "Nike"),
        ("Addidas", "Adidas"),
        ("Adiads", "Adidas"),
        ("아디다쓰", "Adidas"),
        ("H & M", "H&M"),
        ("CAFE NOIR", "Café Noir"),
        ("株式会社資生堂", "資生堂"),
        ("shisedo", "資生堂"),
    ],
)
def test_a_brand_is_known_by_any_of_its_names_and_in_spite_of_a_slip(said, brand):
    assert SHOP.match(said).brand.name == brand


@pytest.mark.parametrize("said", ["Puma", "HN", "耐久", "", "™", "🙂", "Nikon", "Brennu", "x" * 10_000])
def test_what_is_another_brand_or_could_be_either_of_two_is_unknown(said):
    assert SHOP.match(said) is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_brands_own_name_beats_an_alias_of_another_whichever_came_first(turned):
    shop = [Known("1", "Qqfirst", ("Realbrandx",)), Known("2", "Realbrandx")]
    registry = Registry(shop[::-1] if turned else shop)
    assert registry.match("realbrandx").brand.name == "Realbrandx"
    assert registry.match("Realbranx").brand.name == "Realbrandx"
    assert registry.match("Qqfirst").brand.name == "Qqfirst"


def test_an_alias_of_two_brands_is_known_as_neither_and_both_are_candidates():
    registry = Registry([Known("1", "Xa1", ("same alias",)), Known("2", "Xa2", ("Same Alias", "SAME-ALIAS"))])
    for said in ("same alias", "Same Aliass"):
        assert registry.match(said) is None
        assert [match.brand.name for match in registry.likely(said)] == ["Xa1", "Xa2"]


def test_names_that_a_slip_leaves_between_two_brands_are_told_with_both():
    assert {match.brand.name for match in SHOP.likely("Brennu")} == {"Brenna", "Brenno"}
    assert SHOP.likely("Puma") == []


def test_two_hundred_misspelt_or_korean_names_are_found_among_six_thousand(capsys):
    result = bench.measured()
    with capsys.disabled():
        sys.stdout.write(
            f"\nbrands: precision {result.precision:.3f}, recall {result.recall:.3f}, 6,000 brands\n"
        )
    assert result.asked == 200
    assert result.precision >= 0.97
    assert result.recall >= 0.95


def test_company_forms_are_no_part_of_a_name_unless_they_are_all_of_it():
    assert key("Acme Co., Ltd.") == key("ACME") == key("Acme GmbH")
    assert key("Co") == "co"


SPOT = (0.3, 0.2, 0.25, 0.15)
"""Left, top, width and height as parts of the picture."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "size", [(600, 900), (1601, 901), (3001, 2003), (4032, 3024), (700, 2999), (1024, 1024)]
)
def test_a_box_comes_back_within_a_pixel_however_the_photo_was_turned_and_shrunk(size, orientation):
    """A spot is drawn into the upright picture, and the box found where a model would see it."""
    spot = [round(part * size[place % 2]) for place, part in enumerate(SPOT)]
    frame = _seen(size, orientation)
    sent = dict(zip(("x", "y", "width", "height"), _scaled(spot, size, frame.sent), strict=True))
    upright = frame.upright(sent)
    _near(upright, spot)
    stored = frame.stored(upright)
    picture = Image.new("L", size)
    picture.paste(255, (spot[0], spot[1], spot[0] + spot[2], spot[1] + spot[3]))
    left, top, right, bottom = _laid_down(picture, orientation).getbbox()
    _near(stored, [left, top, right - left, bottom - top])


def test_a_box_that_leaves_the_picture_is_cut_and_one_outside_is_none():
    frame = Frame((100, 50), (1000, 500))
    assert frame.upright({"x": -5, "y": 40, "width": 20, "height": 20}) == {
        "x": 0,
        "y": 400,
        "width": 150,
        "height": 100,
    }
    assert frame.upright({"x": 200, "y": 0, "width": 20, "height": 20}) is None
    assert frame.upright({"x": 10, "y": 10, "width": -5, "height": 20}) is None
    assert frame.share({"x": 0, "y": 0, "width": 500, "height": 500}) == 50.0


def _seen(size, orientation):
    """The frame that preparing a photo of this upright size gives."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    _laid_down(Image.new("RGB", size, "gray"), orientation).save(buffer, "JPEG", exif=exif)
    prepared = prepare(buffer.getvalue(), Policy(best_side=1024))
    assert (prepared.original_width, prepared.original_height) == size
    assert prepared.orientation == orientation
    return Frame((prepared.width, prepared.height), size, prepared.orientation)


def _laid_down(image, orientation):
    """The picture as a camera stores it: what turns it upright again is its EXIF orientation."""
    back = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    turned = image.copy()
    exif = turned.getexif()
    exif[0x0112] = back
    turned.info["exif"] = exif.tobytes()
    return ImageOps.exif_transpose(turned)


def _scaled(box, size, sent):
    return [value * sent[place % 2] / size[place % 2] for place, value in enumerate(box)]


def _near(found, wanted):
    for name, value in zip(("x", "y", "width", "height"), wanted, strict=True):
        assert abs(found[name] - value) <= 1, (found, wanted)

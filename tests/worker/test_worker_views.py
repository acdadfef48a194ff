"""Several views of one product in a worker: the model is told which image shows which."""

import json

import pytest
from endpoint import completion

from core.services import analyses
from core.services.analyses import Submission
from webapp.uploads import Spool

LOGO = {
    "logo_detected": True,
    "detected_brand": "Zzyzx",
    "confidence": 0.9,
    "logo_image": 2,
    "logo_position": {"x": 10, "y": 20, "width": 30, "height": 40},
}
SIZES = {"front": (320, 240), "back": (4096, 2048)}


@pytest.fixture
def ask(shop, script, photo):
    """Ask about a front of 320 x 240 pixels and a back of 4096 x 2048, which is sent smaller."""

    def run(*said, views=("front", "back"), **options):
        for text in said:
            script.say(completion(text if isinstance(text, str) else json.dumps(text)))
        images = []
        for size in SIZES.values():
            spool = Spool(10_000_000)
            spool.write(photo(size=size))
            images.append(spool.upload("p.jpg"))
        submission = Submission(images=images, views=views, model="gpt-4.1-mini", **options)
        return shop.run(analyses.submit(shop.desk, shop.key, submission, "req-1").id)

    return run


def parts(script, call=0):
    content = script.calls[call]["body"]["messages"][1]["content"]
    return [part.get("text", "an image") for part in content]


def test_each_image_stands_behind_the_name_of_its_view(ask, script):
    assert ask("Two.", question="How many?").state == "completed"
    assert parts(script) == ["How many?", "Image 1: front", "an image", "Image 2: back", "an image"]


def test_images_without_a_name_are_counted_where_others_have_one_and_left_alone_where_none_has(ask, script):
    ask("Two.", question="How many?", views=("front", None))
    ask("Two.", question="How many?", views=())
    assert parts(script)[1::2] == ["Image 1: front", "Image 2"]
    assert parts(script, 1) == ["How many?", "an image", "an image"]


def test_a_logo_is_placed_on_the_image_that_it_is_seen_on(ask, script):
    row = ask(LOGO, preset="logo")
    sent = row.images[1].report["sent"]
    wide, high = sent["width"], sent["height"]
    assert f"Sizes in pixels, width x height: image 1: 320 x 240; image 2: {wide} x {high}." in parts(script)
    assert wide < SIZES["back"][0] / 2
    left, top, width, height = (round(length * SIZES["back"][0] / wide) for length in (10, 20, 30, 40))
    assert row.data["logo_position"] == {"x": left, "y": top, "width": width, "height": height}
    assert (row.data["logo_image"], row.data["logo_view"]) == (2, "back")


@pytest.mark.parametrize(
    "wrong",
    [
        {"logo_image": 3},
        {"logo_image": None},
        {"logo_image": 10**400},
        {"logo_image": 3, "logo_position": None},
    ],
)
def test_a_logo_on_an_image_that_is_not_there_or_not_said_is_asked_for_once_more(ask, script, wrong):
    row = ask(LOGO | wrong, LOGO, preset="logo")
    assert (row.state, row.data["logo_image"], row.data["logo_view"]) == ("completed", 2, "back")
    assert "which of the 2 images" in script.calls[1]["body"]["messages"][-1]["content"]


def test_no_logo_is_on_no_view(ask, script):
    nothing = {"logo_detected": False, "detected_brand": None, "logo_image": None, "logo_position": None}
    row = ask(LOGO | nothing, preset="logo")
    assert (row.state, row.data["logo_view"], len(script.calls)) == ("completed", None, 1)


def test_a_report_on_quality_names_the_views(ask):
    row = ask(preset="quality", preset_options={"rules": ["ebay"]})
    assert [image["view"] for image in row.data["images"]] == ["front", "back"]
    assert row.answer.splitlines()[1].startswith("Image 2 (back), ebay: ")

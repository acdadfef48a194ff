"""Quality in a worker: measured without a call, and required before one."""

import io

import pytest
from endpoint import completion
from PIL import Image, ImageDraw


def shelf(size=(1200, 1200)):
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for x in range(round(size[0] * 0.05), round(size[0] * 0.93), 60):
        draw.rectangle((x, size[1] * 0.1, x + 40, size[1] * 0.9), fill="#204080")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_quality_is_measured_for_nothing(shop, script):
    row = shop.ask(content=shelf(), preset="quality", question=None)
    assert (row.state, row.data["passed"]) == ("completed", True)
    [image] = row.data["images"]
    assert image["measures"]["longest_side"] == 1200
    assert {verdict["name"] for verdict in image["rule_sets"]} >= {"amazon-main", "ebay", "google-merchant"}
    assert "Image 1, amazon-main: passed" in row.answer
    assert (row.prompt_cost, row.completion_cost, row.prompt_tokens) == (0, 0, 0)
    assert shop.calls(row.id) == script.calls == []


def test_only_the_rules_that_are_named_count(shop, script, photo):
    options = {"rules": "ebay"}
    row = shop.ask(content=photo(size=(400, 300)), preset="quality", question=None, preset_options=options)
    [verdict] = row.data["images"][0]["rule_sets"]
    assert (row.state, verdict["name"], verdict["passed"]) == ("completed", "ebay", False)
    assert "longest_side is 400 px, wanted at least 500 px" in row.answer


def test_a_photo_below_the_required_quality_fails_before_any_call(shop, script, photo):
    row = shop.ask(content=photo(size=(400, 300)), require_quality=["ebay"])
    assert (row.state, row.error_code) == ("failed", "quality_insufficient")
    assert "longest_side is 400 px" in row.error_message
    assert row.data["images"][0]["measures"]["width"] == 400
    assert shop.calls(row.id) == script.calls == []


def test_quality_is_required_of_what_is_only_measured_too(shop, script, photo):
    options = {"preset": "quality", "question": None, "preset_options": {"rules": ["coupang"]}}
    row = shop.ask(content=photo(size=(400, 300)), require_quality=["ebay"], **options)
    assert (row.state, row.error_code) == ("failed", "quality_insufficient")
    row = shop.ask(content=shelf(), require_quality=["ebay"], **options)
    assert (row.state, row.data["images"][0]["rule_sets"][0]["name"]) == ("completed", "coupang")


def test_a_photo_of_the_required_quality_is_asked_about(shop, script):
    script.say(completion("A shelf."))
    row = shop.ask(content=shelf(), require_quality=["ebay", "amazon-main"])
    assert (row.state, row.answer) == ("completed", "A shelf.")


@pytest.mark.parametrize("cut", [100, 400])
def test_a_damaged_photo_cannot_be_measured(shop, photo, cut):
    row = shop.ask(content=photo()[:cut], preset="quality", question=None)
    assert (row.state, row.error_code) == ("failed", "image_undecodable")

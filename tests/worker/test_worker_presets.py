"""Presets in a worker: data makes the prompt, the schema and the answer."""

import json

import pytest
from endpoint import completion

from core.errors import InvalidRequest
from core.services import presets

TEXTS = {
    "title": "머그",
    "bullet_points": ["빨강"],
    "description": "빨간 머그.",
    "alt_text": "흰 배경의 머그.",
}
CHECK = {
    "title": "Shoes",
    "prompt": "You look at shoes.",
    "question": "Which shoe is it?",
    "schema": {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}},
}


def test_texts_in_several_languages_come_from_one_call(shop, script):
    answer = {"ko": TEXTS, "ja": TEXTS}
    script.say(completion(json.dumps(answer)))
    options = {"languages": ["ja", "ko"], "tone": "formal", "length": "short"}
    row = shop.ask(preset="describe", question=None, preset_options=options)
    assert (row.state, row.data) == ("completed", answer)
    [call] = script.calls
    assert call["body"]["response_format"]["json_schema"]["schema"]["required"] == ["ko", "ja"]
    system = call["body"]["messages"][0]["content"]
    assert "합니다체" in system
    assert "three bullet points" in system


def test_a_list_of_one_option_may_be_said_as_that_one(shop, script):
    script.say(completion(json.dumps({"ko": TEXTS})))
    row = shop.ask(preset="describe", question=None, preset_options={"languages": "ko"})
    assert (row.state, row.data) == ("completed", {"ko": TEXTS})
    with pytest.raises(InvalidRequest, match="'fr'"):
        shop.submit(preset="describe", question=None, preset_options={"languages": "fr"})


def test_a_language_that_is_missing_is_asked_for_again(shop, script):
    script.say(completion(json.dumps({"ko": TEXTS})))
    script.say(completion(json.dumps({"ko": TEXTS, "en": TEXTS})))
    row = shop.ask(preset="describe", question=None, preset_options={"languages": ["ko", "en"]})
    assert (row.state, list(row.data), len(script.calls)) == ("completed", ["ko", "en"], 2)


def test_attributes_have_confidences_where_that_is_asked_for(shop, script):
    script.say(completion("{}"))
    script.say(completion("{}"))
    shop.ask(preset="product", question=None, preset_options={"confidence": True})
    schema = script.calls[0]["body"]["response_format"]["json_schema"]
    assert "confidences" in schema["schema"]["required"]
    assert schema["strict"] is True


ENTRY = {
    "category": "Kitchen",
    "subcategory": "Mugs",
    "brand_detected": None,
    "dominant_colors": ["red"],
    "primary_material": "ceramic",
    "product_condition": "new",
    "image_quality": "good",
    "background": "white",
    "has_text_overlay": False,
    "description": "A red mug. It has a handle.",
    "tags": ["mug"],
    "confidence": 0.9,
}


@pytest.mark.parametrize("confidence", [90, -0.1, int("9" * 400)])
def test_a_products_confidence_that_is_not_from_0_to_1_is_asked_for_again(shop, script, confidence):
    script.say(completion(json.dumps(ENTRY | {"confidence": confidence})))
    script.say(completion(json.dumps(ENTRY)))
    row = shop.ask(preset="product", question=None)
    assert (row.state, row.confidence, len(script.calls)) == ("completed", 0.9, 2)
    assert "$.confidence" in script.calls[1]["body"]["messages"][-1]["content"]


def test_an_analysis_is_made_with_the_version_that_it_was_submitted_with(shop, script):
    presets.create(shop.desk, shop.key.account_id, "shoes", CHECK)
    analysis_id = shop.submit(preset="shoes", question=None)
    presets.create(shop.desk, shop.key.account_id, "shoes", CHECK | {"prompt": "Changed."})
    presets.delete(shop.desk, shop.key.account_id, "shoes")
    script.say(completion('{"z": "1", "a": "2"}'))
    row = shop.run(analysis_id)
    assert (row.state, list(row.data)) == ("completed", ["z", "a"])
    assert script.calls[0]["body"]["messages"][0]["content"] == "You look at shoes."

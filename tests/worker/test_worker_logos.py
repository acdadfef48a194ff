"""Logos in a worker: whose they are is looked up, and where they stand is told in the original's pixels."""

import io
import json

import pytest
from endpoint import completion
from PIL import Image

from core.services import brands, presets, trials
from webapp.uploads import Spool

FOUND = {
    "logo_detected": True,
    "detected_brand": "나이기",
    "confidence": 0.9,
    "logo_image": 1,
    "logo_position": {"x": 100, "y": 50, "width": 200, "height": 100},
}


def ask(shop, script, said, content):
    script.say(completion(json.dumps(said)))
    return shop.ask(preset="logo", question=None, content=content)


def test_a_known_brand_and_its_place_in_a_photo_that_was_turned_and_shrunk(shop, script):
    brands.put(shop.desk, shop.key.account_id, "Nike", ["나이키"])
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (4096, 2048), "white").save(buffer, "JPEG", exif=exif)
    row = ask(shop, script, FOUND, buffer.getvalue())
    assert row.state == "completed"
    assert row.data["brand"] == {
        "known": True,
        "id": row.data["brand"]["id"],
        "name": "Nike",
        "score": row.data["brand"]["score"],
        "candidates": [],
    }
    # Sent as large as the model looks at, upright 2048 by 4096.
    sent = row.images[0].report["sent"]
    scale = 4096 / sent["height"]
    left, top, wide, high = (round(length * scale) for length in (100, 50, 200, 100))
    assert scale > 2
    assert row.data["logo_position"] == {"x": left, "y": top, "width": wide, "height": high}
    stored = {"x": top, "y": 2048 - left - wide, "width": high, "height": wide}
    assert row.data["logo_position_stored"] == stored
    assert row.data["logo_size_percentage"] == pytest.approx(100 * wide * high / (2048 * 4096), abs=0.001)
    assert row.confidence == 0.9
    assert json.loads(row.answer) == FOUND
    texts = [part.get("text", "") for part in script.calls[0]["body"]["messages"][1]["content"]]
    assert f"Sizes in pixels, width x height: image 1: {sent['width']} x {sent['height']}." in texts
    assert any("Nike" in text and "data" in text for text in texts)


def test_a_trial_shows_the_very_messages_that_are_sent(shop, script, photo):
    brands.put(shop.desk, shop.key.account_id, "Nike", ["나이키"])
    content = photo(size=(3000, 2000))
    spool = Spool(10_000_000)
    spool.write(content)
    images = [spool.upload("p.jpg")]
    asked = {"model": "gpt-4.1-mini", "context": "A shoe."}
    preset = presets.find(shop.desk, shop.key.account_id, "logo")
    shown = trials.rehearse(shop.desk, shop.key.account_id, preset, asked, images, [])
    script.say(completion(json.dumps(FOUND)))
    row = shop.ask(preset="logo", question=None, content=content, context="A shoe.")
    [sent] = [call["body"] for call in script.calls]
    sent["messages"][1]["content"][-1]["image_url"]["url"] = trials.PICTURE
    assert list(shown.messages) == sent["messages"]
    assert shown.response_format == sent["response_format"]
    assert shown.calls[0].worst.cost == shop.calls(row.id)[0].reserved_cost


def test_an_unknown_brand_is_told_as_such(shop, script, photo):
    brands.put(shop.desk, shop.key.account_id, "Nike", [])
    row = ask(shop, script, FOUND | {"detected_brand": "Zzyzx"}, photo())
    unknown = {"known": False, "id": None, "name": "Zzyzx", "score": None, "candidates": []}
    assert row.data["brand"] == unknown


def test_a_brand_that_could_be_either_of_two_is_told_with_both(shop, script, photo):
    first = brands.put(shop.desk, shop.key.account_id, "Xa1", ["same alias"])
    second = brands.put(shop.desk, shop.key.account_id, "Xa2", ["Same Alias"])
    found = ask(shop, script, FOUND | {"detected_brand": "SAME ALIAS"}, photo()).data["brand"]
    assert (found["known"], found["id"]) == (False, None)
    assert found["candidates"] == [
        {"id": brand.id, "name": brand.name, "score": 1.0} for brand in (first, second)
    ]


def test_no_logo_is_an_answer(shop, script, photo):
    nothing = {
        "logo_detected": False,
        "detected_brand": None,
        "confidence": None,
        "logo_image": None,
        "logo_position": None,
    }
    row = ask(shop, script, nothing, photo())
    assert (row.state, row.data["brand"], row.data["logo_position"]) == ("completed", None, None)


@pytest.mark.parametrize("said", [{"logo_position": None}, {"detected_brand": None}, {}])
def test_a_logo_that_is_told_but_not_found_is_asked_for_once_more(shop, script, photo, said):
    script.say(completion(json.dumps(FOUND | {"logo_detected": False} | said)))
    row = ask(shop, script, FOUND, photo())
    assert (row.state, row.data["logo_detected"], len(script.calls)) == ("completed", True, 2)
    assert "logo_detected is false" in script.calls[1]["body"]["messages"][-1]["content"]


def test_a_change_of_the_registry_counts_at_once(shop, script, photo):
    account_id = shop.key.account_id
    said = FOUND | {"detected_brand": "Zzyzx"}
    assert ask(shop, script, said, photo()).data["brand"]["known"] is False
    made = brands.put(shop.desk, account_id, "ZZYZX", [])
    assert ask(shop, script, said, photo()).data["brand"]["id"] == made.id
    brands.delete(shop.desk, account_id, made.id)
    assert ask(shop, script, said, photo()).data["brand"]["known"] is False


def test_the_prompt_carries_only_a_short_list_of_many_brands(shop, script, photo):
    lines = "\n".join(f"Brand {number:04}" for number in range(6_000))
    brands.import_csv(shop.desk, shop.key.account_id, f"name\n{lines}".encode())
    row = ask(shop, script, FOUND | {"detected_brand": "brand-5999"}, photo())
    assert row.data["brand"]["name"] == "Brand 5999"
    assert json.dumps(script.calls[0]["body"]["messages"]).count("Brand ") <= 60


@pytest.mark.parametrize("far", [1e308, -1e308, int("9" * 400)])
def test_a_box_that_is_none_is_no_failure(shop, script, photo, far):
    beyond = {"x": far, "y": 0, "width": 10, "height": 10}
    row = ask(shop, script, FOUND | {"logo_position": beyond}, photo())
    assert (row.state, row.data["logo_position"]) == ("completed", None)
    assert row.prompt_tokens > 0

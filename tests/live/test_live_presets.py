"""Every built-in preset on the drawn photos, through the whole system: answers are what was measured."""

import pytest

from local.samples import draw_samples

TREE = [{"id": "1", "label": "Kitchen"}, {"id": "11", "label": "Mugs", "parent": "1"}]
LANGUAGES = ["en", "ko", "zh", "ja"]
ASKED = {
    "question": {"question": "What colour is it?"},
    "product": {},
    "describe": {"preset_options": {"languages": LANGUAGES}},
    "classify": {"preset_options": {"taxonomy": "shop"}},
    "logo": {},
    "quality": {},
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return draw_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def shop(live, samples):
    """A session of an account that knows its categories and has the photos, by name."""
    live.analyst.reset()
    live.forget_limits()
    session = live.session()
    tree = {"name": "shop", "nodes": TREE}
    assert session.post(f"{live.url}/api/v1/taxonomies", json=tree, timeout=30).status_code == 201

    def kept(sample):
        files = {"file": (sample.path.name, sample.path.read_bytes())}
        return session.post(f"{live.url}/api/v1/files", files=files, timeout=30).json()["id"]

    return session, {sample.name: kept(sample) for sample in samples}


@pytest.fixture(scope="module")
def answers(live, shop):
    """What each preset makes of each photo: by preset, then by name."""
    session, ids = shop
    inputs = [
        {"custom_id": f"{preset} {name}", "image": file_id, "preset": preset, **said}
        for preset, said in ASKED.items()
        for name, file_id in ids.items()
    ]
    made = session.post(f"{live.url}/api/v1/batches", json={"inputs": inputs}, timeout=60)
    assert made.status_code == 202, made.text
    url = f"{live.url}{made.headers['Location']}"
    live.wait_for(lambda: session.get(url, timeout=30).json()["completed_at"], every=0.5)
    rows = session.get(f"{url}/results?limit=1000", timeout=30).json()["data"]
    found = {preset: {} for preset in ASKED}
    for row in rows:
        assert row["status"] == "completed", (row["custom_id"], row["error"])
        found[row["preset"]][row["custom_id"].removeprefix(f"{row['preset']} ")] = row
    return found


def expecting(samples, key):
    return [(sample.name, sample.expected[key]) for sample in samples if key in sample.expected]


def test_all_presets_that_are_built_in_are_tried(live, shop):
    listed = shop[0].get(f"{live.url}/api/v1/presets", timeout=10).json()["data"]
    assert {preset["name"] for preset in listed} == ASKED.keys()


def test_a_plain_question_is_answered_with_the_colour_of_the_product(answers, samples):
    for name, color in expecting(samples, "color"):
        assert color in answers["question"][name]["answer"], name


def test_product_measures_colour_background_text_and_quality_and_guesses_nothing(answers, samples):
    found = {name: row["data"] for name, row in answers["product"].items()}
    for name, color in expecting(samples, "color"):
        assert found[name]["dominant_colors"][0] == color, name
    for name, kind in expecting(samples, "background"):
        assert found[name]["background"].startswith(kind), name
    for name, color in expecting(samples, "background_color"):
        assert found[name]["background"] == f"plain {color}", name
    assert {name for name, data in found.items() if data["has_text_overlay"]} == {"book"}
    assert {name for name, data in found.items() if data["image_quality"] == "poor"} == {"sunglasses"}
    assert all(data["brand_detected"] is data["category"] is None for data in found.values())


def test_describe_says_in_every_language_what_was_measured(answers, samples):
    for name, color in expecting(samples, "color"):
        texts = answers["describe"][name]["data"]
        assert texts.keys() == set(LANGUAGES)
        assert color in texts["en"]["description"], name
        assert all(texts[language]["alt_text"] for language in LANGUAGES)


def test_classify_and_logo_say_that_pixels_do_not_tell(answers):
    for row in answers["classify"].values():
        assert (row["data"]["category_id"], row["data"]["steps"]) == (None, 1)
    for row in answers["logo"].values():
        assert (row["data"]["logo_detected"], row["data"]["brand"]) == (False, None)


def test_quality_is_measured_for_nothing(answers, samples):
    found = {name: row["data"]["images"][0]["measures"] for name, row in answers["quality"].items()}
    assert {name for name, measures in found.items() if measures["sharpness"] < 0.3} == {"sunglasses"}
    assert max(found, key=lambda name: found[name]["noise"]) == "headphones"
    assert min(found, key=lambda name: found[name]["brightness"]) == "watch"
    for name in ("mug", "t-shirt", "sunglasses"):  # the plain white ones
        assert found[name]["background_white"] > 0.99
    assert (found["trainer"]["width"], found["trainer"]["height"]) == (1500, 1200)  # upright
    assert all(
        row["cost"]["total_cost"] == 0 == row["usage"]["total_tokens"] for row in answers["quality"].values()
    )


def test_views_of_one_product_are_one_analysis_about_all_of_them(live, shop):
    session, ids = shop
    views = [{"file_id": ids["mug"], "view": "front"}, {"file_id": ids["sunglasses"], "view": "back"}]
    body = {"images": views, "sku": "A-1", "preset": "quality", "wait": 60}
    found = session.post(f"{live.url}/api/v1/analyses", json=body, timeout=90).json()
    assert [image["view"] for image in found["data"]["images"]] == ["front", "back"]
    sharp = [image["measures"]["sharpness"] > 0.3 for image in found["data"]["images"]]
    assert sharp == [True, False]

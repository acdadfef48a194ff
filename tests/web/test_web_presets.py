"""Presets: data that clients may look at, add to, and try before they pay."""

import io

import pytest
from sqlalchemy import select

from core.models import Analysis
from core.presets import Presets

SHOES = {
    "name": "shoe-check",
    "title": "Shoes",
    "prompt": "You look at shoes.",
    "question": "Which shoe is it?",
    "schema": {
        "type": "object",
        "properties": {"kind": {"type": "string"}},
        "required": ["kind"],
        "additionalProperties": False,
    },
    "options": {
        "type": "object",
        "properties": {"soles": {"type": "boolean", "default": False}},
        "additionalProperties": False,
    },
    "variants": [
        {
            "when": {"properties": {"soles": {"const": True}}, "required": ["soles"]},
            "prompt": "Look at the soles.",
            "schema": {"properties": {"sole": {"type": "string"}}, "required": ["sole"]},
        }
    ],
}


@pytest.fixture
def upload(client, photo):
    data = {"file": (io.BytesIO(photo()), "p.jpg"), "purpose": "vision"}
    return client.post("/api/v1/files", data=data).json["id"]


@pytest.fixture
def stranger(app, new_key):
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {new_key().secret}"
    return other


def test_built_in_presets_are_listed_with_their_options_and_schemas(client):
    listed = {row["name"]: row for row in client.get("/api/v1/presets").json["data"]}
    assert set(listed) == set(Presets().names())
    assert listed["product"]["version"] == 3
    assert listed["describe"]["options"]["properties"]["languages"]["items"]["enum"] == [
        "ko",
        "en",
        "zh",
        "ja",
    ]
    assert all(row["built_in"] for row in listed.values())


def test_every_version_of_a_preset_can_be_seen(client):
    found = client.get("/api/v1/presets/product?version=1").json
    assert (found["version"], [row["version"] for row in found["versions"]]) == (1, [3, 2, 1])
    assert client.get("/api/v1/presets/product?version=9").status_code == 404
    assert client.get("/api/v1/presets/%00").status_code == 404


def test_a_preset_of_ones_own_is_a_new_version_each_time_and_nobody_elses(client, stranger, upload):
    first = client.post("/api/v1/presets", json=SHOES)
    second = client.post("/api/v1/presets", json=SHOES | {"prompt": "Look again."})
    assert (first.status_code, first.json["version"], second.json["version"]) == (201, 1, 2)
    found = client.get("/api/v1/presets/shoe-check?version=1").json
    assert (found["prompt"], found["built_in"]) == ("You look at shoes.", False)
    assert stranger.get("/api/v1/presets/shoe-check").status_code == 404
    body = {"images": [{"base64": "/9j/4AAQSkZJRg=="}], "preset": "shoe-check"}
    refused = stranger.post("/api/v1/analyses", json=body)
    assert refused.status_code == 400
    assert "There is no preset" in refused.json["error"]


def test_a_preset_can_be_sent_back_as_it_is_shown(client):
    client.post("/api/v1/presets", json=SHOES)
    shown = client.get("/api/v1/presets/shoe-check").json
    for read_only in ("object", "version", "built_in", "versions"):
        del shown[read_only]
    again = client.post("/api/v1/presets", json=shown)
    assert again.status_code == 201, again.json
    assert {name: again.json[name] for name in shown} == shown


def test_a_deleted_preset_stays_with_the_analyses_that_name_it(client, desk, upload):
    client.post("/api/v1/presets", json=SHOES)
    body = {"images": [{"file_id": upload}], "preset": "shoe-check", "preset_options": {"soles": True}}
    made = client.post("/api/v1/analyses", json=body).json
    assert (made["preset"], made["preset_version"]) == ("shoe-check", 1)
    assert client.delete("/api/v1/presets/shoe-check").json["deleted"] is True
    assert client.delete("/api/v1/presets/shoe-check").status_code == 404
    assert client.post("/api/v1/analyses", json=body).status_code == 400
    with desk.database.transaction() as session:
        assert session.scalar(select(Analysis.preset_id).where(Analysis.id == made["id"]))
    assert client.post("/api/v1/presets", json=SHOES).json["version"] == 2


def test_built_in_names_are_taken_and_stay(client):
    assert client.post("/api/v1/presets", json=SHOES | {"name": "product"}).status_code == 409
    assert client.delete("/api/v1/presets/product").status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "No Spaces"},
        {"prompt": ""},
        {"schema": {"type": "strin"}},
        {"options": {"$ref": "http://127.0.0.1/"}},
        {"variants": [{"when": {"pattern": "(a+)+$"}}]},
        {"variants": [{"when": {}, "schema": {"properties": {"sole": {"type": "strin"}}}}]},
        {"variants": [{"when": {}, "schema": {"properties": 5}}]},
        {"variants": [{"prompt": "x"}]},
        {"models": {"first": "a"}},
        {"prompt": "\0"},
    ],
)
def test_a_pack_that_makes_no_preset_is_refused(client, wrong):
    answer = client.post("/api/v1/presets", json=SHOES | wrong)
    assert (answer.status_code, answer.json["error_code"]) == (400, "invalid_request")


SPOT = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("x", "y", "width", "height")},
    "required": ["x", "y", "width", "height"],
    "additionalProperties": False,
}


def looking_for(**fields):
    """A pack whose answers have these fields beside the kind."""
    properties = SHOES["schema"]["properties"] | fields
    return SHOES | {"schema": SHOES["schema"] | {"properties": properties, "required": [*properties]}}


CANNOT_WORK = {
    "a brand in a field that is not there": ({"brand_field": "maker"}, "brand_field", SHOES),
    "a brand that is no text": ({"brand_field": "n"}, "brand_field", looking_for(n={"type": "integer"})),
    "a brand where one would be written over": (
        {"brand_field": "brand"}, "brand_field", looking_for(brand={"type": "string"}),
    ),
    "a text that says whether there is any": ({"found_field": "kind"}, "found_field", SHOES),
    "a box in a field that is not there": ({"boxes": ["spot"]}, "boxes", SHOES),
    "a box that is no object": ({"boxes": ["kind"]}, "boxes", SHOES),
    "a box without corners": ({"boxes": ["spot"]}, "boxes", looking_for(spot={"type": "object"})),
    "two boxes of one share": (
        {"boxes": ["a", "a_position"]}, "boxes", looking_for(a=SPOT, a_position=SPOT),
    ),
    "a number of an image that is a text": (
        {"boxes": ["spot"], "box_image": "kind"}, "box_image", looking_for(spot=SPOT),
    ),
    "a field to be known that is not there": (
        {"models": {"first": "gpt-4.1-mini", "stronger": "scripted", "must_know": ["colour"]}},
        "models.must_know", SHOES,
    ),
    "a stronger model that is the first": (
        {"models": {"first": "scripted", "stronger": "scripted"}}, "models.stronger", SHOES,
    ),
    "a cascade without a schema": (
        {"models": {"first": "gpt-4.1-mini", "stronger": "scripted"}, "schema": None, "variants": []},
        "models", SHOES,
    ),
    "choices without such an option": ({"choices": "taxonomy"}, "choices", SHOES),
    "fewer tokens than an image takes": ({"max_image_tokens": 1}, "max_image_tokens", SHOES),
    "a title that says nothing": ({"title": " "}, "title", SHOES),
}  # fmt: skip


@pytest.mark.parametrize("what", CANNOT_WORK)
def test_a_preset_that_cannot_work_is_refused_when_it_is_made(client, what):
    wrong, field, pack = CANNOT_WORK[what]
    body = {name: value for name, value in (pack | wrong).items() if value is not None}
    answer = client.post("/api/v1/presets", json=body)
    assert answer.status_code == 400, answer.json
    assert answer.json["details"].get("field") == field


def test_fields_that_a_preset_names_may_be_told_by_references_and_may_be_null(client):
    fields = {
        "maker": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "spot": {"$ref": "#/$defs/spot"},
        "number": {"type": ["integer", "null"]},
    }
    pack = looking_for(**fields)
    pack["schema"]["$defs"] = {"spot": SPOT | {"type": ["object", "null"]}}
    named = {"brand_field": "maker", "boxes": ["spot"], "box_image": "number"}
    made = client.post("/api/v1/presets", json=pack | named)
    assert made.status_code == 201, made.json


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("describe", {"languages": ["xx"]}),
        ("describe", {"languages": []}),
        ("describe", {"tone": "rude"}),
        ("product", {"confidence": "yes"}),
        ("question", {"anything": 1}),
        ("product", {"unknown": 1}),
        ("product", {"confidence": ["x" * 5_000]}),
    ],
)
def test_options_that_a_preset_does_not_take_are_refused(client, upload, preset, options):
    body = {"images": [{"file_id": upload}], "preset": preset, "question": "?!", "preset_options": options}
    answer = client.post("/api/v1/analyses", json=body)
    assert answer.status_code == 400
    assert "options" in answer.json["error"]


def test_items_of_a_batch_name_presets_of_ones_own(client, upload):
    client.post("/api/v1/presets", json=SHOES)
    items = [{"image": upload, "preset": "shoe-check", "preset_options": {"soles": True}}]
    batch = client.post("/api/v1/batches", json={"inputs": items}).json
    [row] = client.get(f"/api/v1/batches/{batch['id']}/results").json["data"]
    assert (row["preset"], row["preset_options"]) == ("shoe-check", {"soles": True})
    items[0]["preset_options"] = {"soles": 1}
    refused = client.post("/api/v1/batches", json={"inputs": items})
    [problem] = refused.json["details"]["errors"]
    assert (problem["field"], problem["error"]) == (
        "preset_options.soles",
        "1 is not of type 'boolean'.",
    )


def test_a_trial_shows_what_would_be_sent_and_asks_nothing(client, desk):
    client.post("/api/v1/presets", json=SHOES)
    body = {"context": "A sale.", "preset_options": {"soles": True}, "model": "gpt-4.1-mini"}
    shown = client.post("/api/v1/presets/shoe-check/try", json=body).json
    system, user = shown["messages"]
    assert system["content"] == "You look at shoes.\nLook at the soles."
    assert [part["text"].splitlines()[-1] for part in user["content"]] == [
        "Which shoe is it?",
        'Options, as data: {"soles": true}',
        "A sale.",
    ]
    schema = shown["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["kind", "sole"]
    assert shown["worst_cost"] > 0
    assert shown["analysis"] is None


@pytest.mark.parametrize(
    ("stronger", "why"),
    [("nobody", "'nobody' is not served here; these are: "), ("gpt-4.1-mini", "Must be another model than")],
)
def test_a_stronger_model_that_cannot_be_is_told_once_with_its_field(client, upload, stronger, why):
    item = {"preset": "product", "model": "gpt-4.1-mini", "stronger_model": stronger}
    refused = client.post("/api/v1/analyses", json=item | {"images": [{"file_id": upload}]})
    assert refused.json["error"].startswith(f"stronger_model: {why}")
    refused = client.post("/api/v1/batches", json={"inputs": [item | {"image": upload}]})
    assert f"line 1, stronger_model: {why}" in refused.json["error"]


def test_a_product_is_described_with_the_options_of_its_preset(client, photo):
    data = {"image": (io.BytesIO(photo()), "p.jpg"), "preset_options": '{"confidence": 1}'}
    refused = client.post("/api/v1/analyze-product", data=data)
    assert refused.json["details"]["field"] == "preset_options.confidence"


def test_rule_sets_are_required_once_each(client, upload):
    twice = {"preset": "product", "require_quality": ["ebay", "ebay"]}
    refused = client.post("/api/v1/analyses", json=twice | {"images": [{"file_id": upload}]})
    assert (refused.status_code, refused.json["details"]["field"]) == (400, "require_quality")
    refused = client.post("/api/v1/batches", json={"inputs": [twice | {"image": upload}]})
    assert refused.json["details"]["errors"][0]["field"] == "require_quality"


def tried(client, preset, **body):
    answer = client.post(f"/api/v1/presets/{preset}/try", json=body)
    assert answer.status_code == 200, answer.json
    return answer.json


def texts(shown):
    return [part["text"] for part in shown["messages"][1]["content"] if part["type"] == "text"]


def test_a_trial_has_the_brands_the_sizes_as_sent_and_the_views(client, upload):
    client.post("/api/v1/brands", json={"name": "Nike"})
    images = [{"file_id": upload, "view": "front"}, {"url": "https://shop.example/back.jpg"}]
    shown = tried(client, "logo", images=images)
    assert texts(shown)[1:] == [
        "Brands that the shop sells, among others, as data: Nike.",
        "Sizes in pixels, width x height: image 1: 320 x 240; image 2: … x ….",
        "Image 1: front",
        "Image 2",
    ]
    pictures = [part["image_url"] for part in shown["messages"][1]["content"] if part["type"] == "image_url"]
    assert pictures == [{"url": "…", "detail": "high"}] * 2


def test_a_trial_of_a_large_taxonomy_shows_its_first_step_and_counts_every_one(client):
    small = [{"id": str(n), "label": f"Shelf {n}", "parent": None} for n in range(4)]
    large = small + [
        {"id": f"{shelf}-{n}", "label": f"Box {n}", "parent": str(shelf)}
        for shelf in range(4)
        for n in range(100)
    ]
    seen = {}
    for name, nodes in (("small", small), ("large", large)):
        client.post("/api/v1/taxonomies", json={"name": name, "nodes": nodes})
        seen[name] = tried(client, "classify", preset_options={"taxonomy": name})
        schema = seen[name]["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["category_id"]["enum"] == ["0", "1", "2", "3", None]
        assert texts(seen[name])[-1].endswith("3: Shelf 3")
    purposes = {name: [call["purpose"] for call in shown["calls"]] for name, shown in seen.items()}
    assert purposes == {
        "small": ["answer", "repair"],
        "large": ["step 1", "repair", "step 2", "repair"],
    }
    assert seen["large"]["worst_tokens"] > 2 * seen["small"]["worst_tokens"]


def test_a_trial_of_a_cascade_counts_both_models_and_the_repair(client):
    client.post("/api/v1/presets", json=SHOES)
    one = tried(client, "shoe-check", model="gpt-4.1-mini")
    both = tried(client, "shoe-check", model="gpt-4.1-mini", stronger_model="scripted")
    assert [(call["purpose"], call["model"]) for call in both["calls"]] == [
        ("answer", "gpt-4.1-mini"),
        ("stronger", "scripted"),
        ("repair", "scripted"),
    ]
    assert (both["stronger_model"], both["worst_cost"]) == ("scripted", None)  # which has no price
    assert [call["purpose"] for call in one["calls"]] == ["answer", "repair"]
    assert one["worst_cost"] == pytest.approx(sum(call["worst_cost"] for call in one["calls"]))
    assert one["worst_tokens"] == sum(call["worst_tokens"] for call in one["calls"])
    refused = client.post("/api/v1/presets/shoe-check/try", json={"stronger_model": "nobody"})
    assert refused.status_code == 400


def test_a_trial_of_what_asks_nobody_says_so(client, upload):
    shown = tried(client, "quality", images=[{"file_id": upload}])
    assert (shown["model"], shown["messages"], shown["calls"]) == (None, [], [])
    assert (shown["worst_tokens"], shown["worst_cost"]) == (0, 0)


def test_a_trial_counts_images_whose_size_can_be_seen(client, upload):
    shown = [tried(client, "question", images=[{"file_id": upload}] * many) for many in (1, 3)]
    assert shown[1]["worst_tokens"] > shown[0]["worst_tokens"]


def test_a_trial_takes_only_images_that_an_analysis_would(client, stranger, upload):
    for images, status in (
        ([{"file_id": "file_nothing"}], 404),
        ([{"base64": "bm90aGluZw=="}], 400),
        ([{"file_id": upload, "view": "a"}, {"file_id": upload, "view": "A"}], 400),
        ([{"file_id": upload}] * 99, 400),
    ):
        body = {"images": images, "preset": "product"}
        assert client.post("/api/v1/analyses", json=body).status_code == status
        trial = client.post("/api/v1/presets/product/try", json={"images": images})
        assert trial.status_code == status, trial.json
    body = {"images": [{"file_id": upload}]}
    assert stranger.post("/api/v1/presets/product/try", json=body).status_code == 404


def test_a_trial_that_is_run_is_an_analysis_marked_as_one(client, upload):
    body = {"images": [{"file_id": upload}], "run": True, "wait": 0}
    shown = client.post("/api/v1/presets/product/try", json=body).json
    assert shown["analysis"]["trial"] is True
    assert shown["analysis"]["preset"] == "product"
    assert client.post("/api/v1/presets/product/try", json={"run": True}).status_code == 400
    assert client.post("/api/v1/presets/nothing/try", json={}).status_code == 404

"""vitrine brands, vitrine taxonomies and --option against the live system."""

import json

import pytest

BRANDS = "name,aliases\nNike,나이키;ナイキ\nPuma,\n".encode()
TREE = b"id,label,parent\n1,Kitchen,\n11,Mugs,1\n"


def test_brands_are_imported_added_listed_and_deleted(vitrine):
    vitrine.write("brands.csv", BRANDS)
    assert vitrine("brands", "import", "brands.csv").stdout == "2 brands added or changed.\n"
    made = vitrine("brands", "add", "Zzyzx", "--alias", "Zz").stdout.strip()
    rows = [json.loads(line) for line in vitrine("brands", "list", "--json").stdout.splitlines()]
    assert sorted((row["name"], row["aliases"]) for row in rows) == [
        ("Nike", ["나이키", "ナイキ"]),
        ("Puma", []),
        ("Zzyzx", ["Zz"]),
    ]
    assert vitrine("brands", "delete", made).stdout == f"{made} is deleted.\n"
    shown = vitrine("brands", "list").stdout
    assert "나이키, ナイキ" in shown
    assert "Zzyzx" not in shown


def test_every_bad_line_of_an_import_is_told_and_nothing_is_stored(vitrine):
    vitrine.write("brands.csv", b"name\nNike\n!!\n??\n")
    done = vitrine("brands", "import", "brands.csv")
    assert done.returncode == 1
    assert "line 3: A brand's name" in done.stderr
    assert done.stderr.endswith("2 bad lines; nothing was stored.\n")
    assert vitrine("brands", "list").stderr == "There are no brands.\n"


def test_a_taxonomy_is_imported_shown_and_used(vitrine, photo):
    vitrine.write("tree.csv", TREE)
    vitrine.write("mug.jpg", photo("red"))
    assert vitrine("taxonomies", "import", "shop", "tree.csv").stdout == "shop has 2 categories.\n"
    assert json.loads(vitrine("taxonomies", "list", "--json").stdout)["size"] == 2
    assert "Mugs" in vitrine("taxonomies", "show", "shop").stdout
    asked = ("ask", "mug.jpg", "--preset", "classify", "--option", "taxonomy=shop", "--json")
    answer = json.loads(vitrine(*asked).stdout)
    assert answer["preset_options"] == {"taxonomy": "shop"}
    assert vitrine("taxonomies", "delete", "shop").stdout == "shop is deleted.\n"
    assert vitrine(*asked).returncode == 1


def test_options_are_texts_or_json_and_a_repeated_one_is_a_list(vitrine, photo):
    vitrine.write("photos/mug.jpg", photo("red"))
    options = ("--option", "languages=ko", "--option", "languages=en", "--option", "tone=formal")
    answer = json.loads(vitrine("ask", "photos/mug.jpg", "--preset", "describe", *options, "--json").stdout)
    assert answer["preset_options"] == {"languages": ["ko", "en"], "tone": "formal"}
    done = vitrine("batch", "photos", "--preset", "product", "--option", "confidence=true", "--json")
    assert json.loads(done.stdout)["preset_options"] == {"confidence": True}


PACK = {
    "name": "shoe-check",
    "title": "Shoes",
    "prompt": "You look at shoes.",
    "question": "Which shoe is it?",
    "schema": {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]},
}


def test_a_preset_is_made_shown_changed_tried_and_deleted(vitrine):
    vitrine.write("shoes.json", json.dumps(PACK).encode())
    assert vitrine("presets", "create", "shoes.json").stdout == "shoe-check is there in version 1.\n"
    vitrine.write("again.json", vitrine("presets", "show", "shoe-check", "--json").stdout.encode())
    assert vitrine("presets", "create", "again.json").stdout == "shoe-check is there in version 2.\n"
    assert "You look at shoes." in vitrine("presets", "show", "shoe-check", "--version", "1").stdout
    assert "shoe-check" in vitrine("presets", "list").stdout
    shown = vitrine("presets", "try", "shoe-check", "--context", "A sale.").stdout
    assert all(part in shown for part in ("You look at shoes.", "A sale.", "answer", "repair", "At worst"))
    assert vitrine("presets", "try", "quality").stderr == "It asks nobody.\n"
    assert vitrine("presets", "delete", "shoe-check").stdout == "shoe-check is deleted.\n"
    assert vitrine("presets", "show", "shoe-check").returncode == 1


def test_a_preset_that_is_none_is_refused(vitrine):
    for name, content in (("list.json", b"[]"), ("text.json", b"shoes")):
        vitrine.write(name, content)
        assert vitrine("presets", "create", name).returncode == 2
    vitrine.write("bad.json", json.dumps(PACK | {"brand_field": "maker"}).encode())
    done = vitrine("presets", "create", "bad.json")
    assert (done.returncode, "no field 'maker'" in done.stderr) == (1, True)


def test_what_was_used_is_shown_by_model(vitrine, photo):
    assert vitrine("usage").stderr == "Nothing was used.\n"
    vitrine.write("mug.jpg", photo("red"))
    note = vitrine("ask", "mug.jpg", "What colour?").stderr
    [row] = [json.loads(line) for line in vitrine("usage", "--by", "model", "--json").stdout.splitlines()]
    assert row["calls"] == 1
    assert row["model"] in note
    assert vitrine("ask", "mug.jpg", "What colour?").returncode == 0
    head, line = vitrine("usage", "--by", "model,preset").stdout.splitlines()
    assert head.split() == [
        "Start",
        "Model",
        "Preset",
        "Calls",
        "Tokens",
        "Cost",
        "Cached",
        "Saved",
        "Cascade",
    ]
    assert [row["model"], "question", "1"] == line.split()[1:4]
    assert line.split()[6] == "1", "the answer that was given again"
    wrong = vitrine("usage", "--by", "model,colour")
    assert (wrong.returncode, "'colour' is not one of model, preset" in wrong.stderr) == (2, True)


def test_quality_is_required_and_views_are_named_on_the_command_line(vitrine, photo):
    vitrine.write("photos/front.jpg", photo("red", size=(300, 200)))
    vitrine.write("photos/back.jpg", photo("blue", size=(300, 200)))
    both = ("photos/front.jpg", "photos/back.jpg")
    named = ("--sku", "A-1", "--view", "front", "--view", "back", "--json")
    asked = json.loads(vitrine("ask", *both, "What is it?", *named).stdout)
    assert (asked["sku"], [image["view"] for image in asked["images"]]) == ("A-1", ["front", "back"])
    required = ("--require-quality", "ebay", "--require-quality", "amazon-main")
    refused = vitrine("ask", both[0], "What is it?", *required, "--json")
    answer = json.loads(refused.stdout)
    assert answer["require_quality"] == ["ebay", "amazon-main"]
    assert (refused.returncode, answer["error"]["code"]) == (1, "quality_insufficient")
    done = vitrine("batch", "photos", "--question", "What is it?", *required, "--csv")
    assert "quality_insufficient" in done.stdout
    assert done.stdout.splitlines()[0].endswith(",model,first_model,first_cost,escalation")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["brands", "import", "none.csv"], "There is no file none.csv."),
        (["brands", "delete", "../keys"], "begins with brand_"),
        (["taxonomies", "show", "../keys"], "1 to 64 small letters"),
        (["ask", "mug.jpg", "?", "--option", "tone"], "--option takes NAME=VALUE, not tone."),
    ],
)
def test_a_wrong_command_is_a_sentence(vitrine, photo, arguments, sentence):
    vitrine.write("mug.jpg", photo("red"))
    done = vitrine(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr

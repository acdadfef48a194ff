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

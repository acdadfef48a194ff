"""vitrine duplicates and vitrine similar, against the live system."""

import io
import json
import time

import pytest
from PIL import Image, ImageDraw
from rich.console import Console

from cli.grouping import groups
from cli.similar import _table


def photo(seed, size=(500, 400), **options):
    image = Image.new("RGB", (500, 400), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    for place in range(5):
        step = seed * 13 + place * 19
        left, top = step * 31 % 380, step * 47 % 300
        color = (step * 71 % 256, step * 37 % 256, step * 113 % 256)
        draw.rectangle((left, top, left + 60 + step % 60, top + 50 + step % 50), fill=color)
    buffer = io.BytesIO()
    image.resize(size).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture
def photos(vitrine):
    vitrine.write("photos/a.jpg", photo(1))
    vitrine.write("photos/copy.jpg", photo(1))
    vitrine.write("photos/deeper/small.jpg", photo(1, (250, 200), quality=50))
    vitrine.write("photos/other.jpg", photo(2))
    return "photos"


def test_duplicates_prints_groups_of_names_with_their_distances(vitrine, photos):
    done = vitrine("duplicates", photos, "--json")
    assert done.returncode == 0, done.stderr
    [group] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [member["name"] for member in group] == ["a.jpg", "copy.jpg", "deeper/small.jpg"]
    assert [group[0]["distance"], group[1]["distance"]] == [None, 0]
    assert group[2]["distance"] <= 64
    assert "4 images: 1 group, 2 more than needed." in done.stderr


def test_a_group_begins_with_the_best_picture(vitrine):
    vitrine.write("photos/a_thumb.jpg", photo(1, (250, 200)))
    vitrine.write("photos/b_rough.jpg", photo(1, quality=40))
    vitrine.write("photos/c_copy.jpg", photo(1, quality=95))
    vitrine.write("photos/d_copy.jpg", photo(1, quality=95))
    done = vitrine("duplicates", "photos", "--json")
    [group] = [json.loads(line) for line in done.stdout.splitlines()]
    names = [member["name"] for member in group]
    assert names == ["c_copy.jpg", "d_copy.jpg", "b_rough.jpg", "a_thumb.jpg"]
    assert [member["distance"] for member in group][:2] == [None, 0]


def test_distances_in_a_group_are_those_from_its_first_and_chains_are_one_group():
    near = {("best", "copy"): 0, ("best", "near"): 9, ("near", "far"): 5, ("copy", "near"): 9}
    ranks = {"best": -9, "copy": -8, "near": -7, "far": -6, "alone": -10}
    pairs = {frozenset(two): distance for two, distance in near.items()}
    [group] = groups(sorted(ranks), pairs, lambda name: (ranks[name], 0, name))
    assert [(member.name, member.distance) for member in group] == [
        ("best", None),
        ("copy", 0),
        ("near", 9),
        ("far", None),
    ]


def test_duplicates_leaves_no_file_on_the_server(vitrine, photos, quick, session):
    assert vitrine("duplicates", photos).returncode == 0
    assert session.get(f"{quick.url}/api/v1/files", timeout=30).json()["data"] == []


@pytest.fixture
def uploads(scripted):
    """Uploads and removals as a server takes them, none at once; the ids that it gave."""
    ids = []

    def answer():
        time.sleep(0.3)
        if scripted.asked[-1][0] == "POST":
            ids.append(f"file_{len(ids):026}")
        return 200, {"id": ids[-1]}, {}

    scripted.answers.append(answer)
    return ids


def removed(scripted):
    return [path.rpartition("/")[2] for method, path, _ in scripted.asked if method == "DELETE"]


def many(user):
    for number in range(100):
        user.write(f"photos/{number}.jpg", photo(1) + bytes([number]))
    return user.start("duplicates", "photos", "--parallel", "1")


def test_ctrl_c_while_images_are_uploaded_removes_those_that_were(scripted_user, scripted, uploads):
    done = scripted_user.interrupt(many(scripted_user), lambda: len(uploads) > 1)
    assert done.returncode == 130
    assert done.stderr == "vitrine: Stopped before all images were compared.\n"
    assert removed(scripted) == uploads
    assert len(uploads) < 100


def test_a_second_ctrl_c_leaves_at_once(scripted_user, scripted, uploads):
    process = many(scripted_user)
    done = scripted_user.interrupt(process, lambda: len(uploads) > 15, twice=lambda: removed(scripted))
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")
    assert len(removed(scripted)) < len(uploads)


def test_duplicates_says_which_images_it_could_not_compare(vitrine, photos):
    vitrine.write("photos/broken.jpg", photo(3)[:300])
    done = vitrine("duplicates", photos)
    assert done.returncode == 1
    assert "broken.jpg: " in done.stderr
    assert "a.jpg" in done.stdout


def test_duplicates_names_what_cannot_be_read_and_compares_the_rest(vitrine, photos):
    bad = vitrine.write_unreadable(photos)
    done = vitrine("duplicates", photos, "--json")
    assert done.returncode == 1
    assert set(done.stderr.splitlines()) == {
        *(f"{name}: {why}" for name, why in bad.items()),
        "8 images: 1 group, 2 more than needed, 4 not compared.",
    }
    assert len(json.loads(done.stdout)) == 3


def test_duplicates_of_a_folder_without_images_is_a_wrong_command(vitrine):
    (vitrine.folder / "empty").mkdir()
    assert vitrine("duplicates", "empty").returncode == 2


def test_similar_finds_what_the_account_has_and_says_why(vitrine, quick, session):
    session.post(f"{quick.url}/api/v1/files", files={"file": ("mine.jpg", photo(5))}, timeout=30)
    name = vitrine.write("query.jpg", photo(5, quality=40))
    quick.vitrine("index", "rebuild")
    done = vitrine("similar", name)
    assert done.returncode == 0, done.stderr
    assert "mine.jpg" in done.stdout
    assert "near-duplicate" in done.stdout


def test_similar_in_an_empty_account_says_that_there_is_nothing_to_compare_with(vitrine):
    name = vitrine.write("query.jpg", photo(6))
    done = vitrine("similar", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "no other image" in done.stderr


@pytest.fixture
def seasons(vitrine):
    """Two images that were analysed, with metadata; a third to look for."""
    vitrine.write("m0.jpg", photo(8))
    vitrine.write("m1.jpg", photo(8, quality=50))
    rows = [
        {"image": name, "question": "?", "metadata": {"season": "summer", "n": number}}
        for number, name in enumerate(("m0.jpg", "m1.jpg"))
    ]
    vitrine.write("list.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert vitrine("batch", "list.jsonl", "--out", "done.csv").returncode == 0
    return vitrine.write("query.jpg", photo(8, quality=70))


def test_similar_takes_metadata_as_text_or_json_and_says_where_none_has_it(vitrine, quick, seasons):
    quick.vitrine("index", "rebuild")
    for given in ("n=1", "season=summer"):
        done = vitrine("similar", seasons, "--metadata", given, "--json")
        assert "m1.jpg" in done.stdout, done.stderr
    done = vitrine("similar", seasons, "--metadata", "season=winter", "--metadata", "n=1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "No other image was analysed with this metadata: season=winter, n=1.\n"


def test_no_word_of_what_is_similar_is_broken_at_80_columns():
    row = {
        "score": 0.98,
        "file_name": "m0.jpg",
        "file_id": f"file_{'0' * 26}",
        "reasons": ["near-duplicate", "same colours", "same shape", "same outlines"],
        "metadata": {"season": "summer", "n": 1},
    }
    for rows in ([row], [row | {"metadata": None}]):
        screen = Console(width=80, file=io.StringIO())
        screen.print(_table(rows, roomy=False))
        words = screen.file.getvalue().split()
        assert {"m0.jpg", row["file_id"], "near-duplicate,", "outlines"} <= set(words)
        assert {"season=summer,", "n=1"} <= set(words) or not rows[0]["metadata"]


def test_ask_takes_an_answer_about_a_copy_where_that_will_do_and_show_tells_so(vitrine):
    vitrine.write("first.jpg", photo(7))
    assert vitrine("ask", "first.jpg", "What is it?").returncode == 0
    for quality in range(40, 90):  # it is found about a second after it was analysed
        vitrine.write("copy.jpg", photo(7, quality=quality))
        done = vitrine("ask", "copy.jpg", "What is it?", "--reuse", "near", "--json")
        if json.loads(done.stdout)["reused_from"]:
            break
    given = json.loads(done.stdout)
    shown = vitrine("show", given["id"]).stdout
    distance = given["reused_from"]["distance"]
    assert "about another picture that shows the same" in " ".join(shown.split())
    assert f"({distance} of 256 bits apart)" in " ".join(shown.split())
    assert shown.count("\nReused ") == 1
    source = f"the answer of {given['cached_from']}, about another picture that shows the same"
    assert f"Reused: {source} ({distance} of 256 bits apart).\n" in done.stderr


def test_a_rebuild_says_that_no_embeddings_were_looked_after_where_no_model_is_set(quick):
    assert "No SIMILAR_EMBEDDING_MODEL is set here: only measures" in quick.vitrine("index", "rebuild").stderr

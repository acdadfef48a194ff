"""vitrine batch against the live system: real files up, real workers, results down."""

import csv
import json
import re

import pytest
from rawhost import OUTSIDE, RawHost, answering

from cli.batch import folder, sources
from core.models.analysis import CUSTOM_ID_LENGTH
from core.services import items

QUESTION = ("--question", "What colour is it?")
ID = re.compile(r"batch_[0-9a-z]{26}")


@pytest.fixture
def batches(quick, session):
    """What the user's account has."""
    return lambda: session.get(f"{quick.url}/api/v1/batches?limit=100", timeout=10).json()["data"]


@pytest.fixture
def files(quick, session):
    """The images that the user's account has uploaded."""
    url = f"{quick.url}/api/v1/files?purpose=vision&limit=100"
    return lambda: session.get(url, timeout=10).json()["data"]


@pytest.fixture
def photos(vitrine, photo):
    """A folder of four photos, two of them of the same content."""
    return {
        name: vitrine.write(f"photos/{name}", photo(color))
        for name, color in {
            "mugs/a.jpg": "red",
            "mugs/b.JPG": "blue",
            "shoes/deep/c.jpg": "red",
            "머그 컵.jpg": "green",
        }.items()
    }


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def rows_of(user, name):
    with (user.folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_limits_known_here_are_the_server_s():
    assert sources.MOST_ITEMS == items.MOST_ITEMS
    assert folder.LONGEST_ID == CUSTOM_ID_LENGTH


def test_a_folder_is_a_batch_whose_items_are_known_by_their_paths(vitrine, photos, batches, files):
    for name in (".hidden.jpg", ".trash/d.jpg", "notes.txt"):
        vitrine.write(f"photos/{name}", b"no image")
    (vitrine.folder / "photos/loop").symlink_to("..")
    done = vitrine("batch", "photos", *QUESTION, "--metadata", "night=1", "--priority", "low", "--json")
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    assert [line["custom_id"] for line in lines] == sorted(photos)
    assert {line["status"] for line in lines} == {"completed"}
    (batch,) = batches()
    assert (batch["metadata"], batch["priority"]) == ({"night": "1"}, "low")
    assert batch["id"] in done.stderr
    assert "4 of 4 items completed, 1 cached" in done.stderr, "the same content is paid once"
    assert len(files()) == 3, "the same content is uploaded once"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)


def test_results_are_in_the_file_of_out_and_nothing_else_is_left_there(vitrine, photos):
    done = vitrine("batch", "photos", *QUESTION, "--out", "r.csv")
    assert (done.returncode, done.stdout) == (0, "")
    assert [row["custom_id"] for row in rows_of(vitrine, "r.csv")] == sorted(photos)
    assert {path.name for path in vitrine.folder.iterdir()} == {"photos", "r.csv"}
    batch_id = ID.search(done.stderr)[0]
    assert vitrine("batch", "watch", batch_id, "--out", "again.jsonl").returncode == 0
    lines = json_lines((vitrine.folder / "again.jsonl").read_text())
    assert [line["custom_id"] for line in lines] == sorted(photos)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos", *QUESTION, "--out", "old.csv"], "old.csv is there already; --force replaces it."),
        (
            ["photos", *QUESTION, "--out", "r.txt"],
            "--out takes a file that ends in .jsonl or .csv, not r.txt",
        ),
        (["photos", *QUESTION, "--out", "no/r.csv"], "no/r.csv cannot be made"),
        (["photos", *QUESTION, "--out", "r.csv", "--json"], "leave out --json and --csv"),
        (["photos", *QUESTION, "--out", "r.csv", "--no-wait"], "--no-wait does not wait for results"),
        (["photos", *QUESTION, "--metadata", "x"], "--metadata takes KEY=VALUE, not x."),
        (["photos", *QUESTION, "--by", "sku"], "--by sku is for a list"),
        (["old.csv", *QUESTION, "--by", "name"], "--by sku is for a list"),
        (["photos"], "Say what to ask about the images: --question, or --preset."),
        (["nope", *QUESTION], "There is no folder or file nope."),
        (["old.csv.txt"], "old.csv.txt is neither a folder nor a .jsonl, .csv or .zip file."),
        (["watch", "photos"], "The id of a batch begins with batch_"),
    ],
)
def test_a_command_that_is_wrong_is_status_2_before_anything_is_sent(
    vitrine, photos, files, batches, arguments, sentence
):
    vitrine.write("old.csv", b"kept")
    vitrine.write("old.csv.txt", b"x")
    done = vitrine("batch", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert (vitrine.folder / "old.csv").read_bytes() == b"kept"
    assert (files(), batches()) == ([], [])


def test_force_replaces_a_file(vitrine, photos):
    vitrine.write("r.csv", b"old")
    assert vitrine("batch", "photos", *QUESTION, "--out", "r.csv", "--force").returncode == 0
    assert (vitrine.folder / "r.csv").read_text().startswith("position,custom_id")


def test_a_folder_without_images_is_a_wrong_command(vitrine):
    vitrine.write("empty/notes.txt", b"")
    done = vitrine("batch", "empty", *QUESTION)
    assert done.returncode == 2
    assert done.stderr.endswith("Error: There is no image file in empty.\n")


def test_a_folder_called_like_a_command_is_reached_by_its_path(vitrine, photo):
    vitrine.write("watch/a.jpg", photo())
    assert vitrine("batch", "./watch", *QUESTION).returncode == 0
    assert "Missing argument 'ID'" in vitrine("batch", "watch").stderr


def test_everything_that_is_bad_is_named_before_anything_is_uploaded(vitrine, photos, files, batches):
    vitrine.write("photos/empty.jpg", b"")
    vitrine.write("photos/page.png", b"<!doctype html>")
    long = "x" * 125 + ".jpg"
    vitrine.write(f"photos/{long}", b"x")
    done = vitrine("batch", "photos", *QUESTION)
    assert (done.returncode, done.stdout) == (1, "")
    assert "empty.jpg: it is an empty file, not an image." in done.stderr
    assert "page.png: it is an HTML page, not an image." in done.stderr
    assert f"{long}: its path has 129 characters" in done.stderr
    assert "3 problems; nothing was submitted." in done.stderr
    assert (files(), batches()) == ([], [])


def test_skip_bad_leaves_out_what_the_server_refuses_too(vitrine, photos, photo):
    vitrine.write("photos/empty.jpg", b"")
    vitrine.write("photos/huge.jpg", photo() + bytes(11_000_000))
    refused = vitrine("batch", "photos", *QUESTION)
    assert refused.returncode == 1
    done = vitrine("batch", "photos", *QUESTION, "--skip-bad", "--json")
    assert done.returncode == 0, done.stderr
    assert [line["custom_id"] for line in json_lines(done.stdout)] == sorted(photos)
    assert "huge.jpg: An image may have at most 10,000,000 bytes" in done.stderr
    assert "2 items left out." in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--preset", "prodct"), "preset: There is no preset 'prodct'"),
        (("--preset", "product", "--model", "gpt-9"), "model: Not served here"),
        (("--preset", "product", "--window", "soon"), "completion_window: Must be minutes, hours or days"),
    ],
)
def test_what_no_image_would_mend_is_told_before_anything_is_uploaded(
    vitrine, photos, files, batches, options, sentence
):
    done = vitrine("batch", "photos", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert (files(), batches()) == ([], [])


def test_rows_name_images_by_path_or_by_file_id_in_json_lines_and_csv(vitrine, photos, files):
    first = vitrine("batch", "photos", *QUESTION, "--json")
    known = json_lines(first.stdout)[0]["images"][0]["file_id"]
    rows = [
        {"custom_id": "path", "image": "photos/mugs/a.jpg"},
        {"custom_id": "both", "images": ["photos/mugs/b.JPG", known]},
        {"custom_id": "id", "image": known, "question": "Is it\nred?"},
    ]
    vitrine.write("rows.jsonl", "\n\n".join(json.dumps(row) for row in rows).encode())
    cells = f"custom_id,image,images,question\npath,photos/mugs/a.jpg,,\nboth,,photos/mugs/b.JPG; {known},\n"
    vitrine.write("rows.csv", b"\xef\xbb\xbf" + f'{cells}\nid,{known},,"Is it\nred?"\n'.encode())
    for name in ("rows.jsonl", "rows.csv"):
        done = vitrine("batch", name, *QUESTION, "--json")
        assert done.returncode == 0, done.stderr
        lines = {line["custom_id"]: line for line in json_lines(done.stdout)}
        assert [len(lines[row["custom_id"]]["images"]) for row in rows] == [1, 2, 1]
        assert lines["id"]["question"] == "Is it\nred?"
        assert lines["both"]["images"][1]["file_id"] == known


def test_rows_name_images_by_url_beside_paths_and_these_are_not_looked_for_here(
    vitrine, photos, photo, files
):
    with RawHost(answering(200, photo("blue")), address=OUTSIDE) as host:
        url = host.url("/mug.jpg?size=1;crop=2")
        lines = [
            "custom_id,image,images",
            f"one,{url},",
            f"two,,{url}; {host.url()}",
            "three,photos/mugs/a.jpg,",
        ]
        vitrine.write("rows.csv", "\n".join(lines).encode())
        done = vitrine("batch", "rows.csv", *QUESTION, "--out", "r.jsonl")
    assert done.returncode == 0, done.stderr
    rows = {row["custom_id"]: row for row in json_lines((vitrine.folder / "r.jsonl").read_text())}
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert [image["url"] for image in rows["two"]["images"]] == [url, host.url()]
    assert len(files()) == 1
    shown = vitrine("show", rows["one"]["id"])
    assert f"from {url}" in shown.stdout


def test_every_bad_line_is_told_with_its_number(vitrine, photos, files, batches):
    good = '{"image": "photos/mugs/a.jpg", "question": "Red?"}'
    vitrine.write(
        "rows.jsonl", f'{good}\n\n{{"image": "gone.jpg"}}\nno json\n[]\n{{"image": "gone.jpg"}}'.encode()
    )
    done = vitrine("batch", "rows.jsonl")
    told = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert (done.returncode, told) == (1, ["line 3", "line 4", "line 5", "line 6", "vitrine"])
    assert "line 3: gone.jpg: there is no such file." in done.stderr
    vitrine.write(
        "rows.csv",
        b'image,question,max_tokens\nphotos/mugs/a.jpg,"Is it\nred?",5\n\nphotos/mugs/b.JPG,Red?,x\n',
    )
    done = vitrine("batch", "rows.csv")
    assert done.returncode == 1
    assert "line 5 (item-5): max_tokens: Must be a whole number" in done.stderr
    assert batches() == []


def test_bad_rows_are_left_out_when_asked_and_the_others_keep_their_lines(vitrine, photos):
    good = '{"image": "photos/mugs/a.jpg", "question": "Red?"}'
    vitrine.write(
        "rows.jsonl", f'no json\n{good}\n{{"image": "gone.jpg", "question": "?!"}}\n{good}\n'.encode()
    )
    done = vitrine("batch", "rows.jsonl", "--skip-bad", "--json")
    assert done.returncode == 0, done.stderr
    assert [line["custom_id"] for line in json_lines(done.stdout)] == ["item-2", "item-4"]


@pytest.mark.parametrize("content", [b"", b"\n \n"], ids=["empty", "blank"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_list_of_nothing_is_a_wrong_command(vitrine, name, content):
    vitrine.write(name, content)
    done = vitrine("batch", name, *QUESTION)
    assert done.returncode == 2
    assert done.stderr.endswith(f"Error: There is no item in {name}.\n")


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_list_in_another_encoding_is_a_sentence(vitrine, name):
    vitrine.write(name, "image\nä".encode("latin-1"))
    done = vitrine("batch", name, *QUESTION)
    assert done.returncode == 1
    assert re.fullmatch(r"vitrine: .* is not UTF-8.*\n", done.stderr)


def test_a_failed_item_is_told_and_makes_the_status_1(vitrine, photos, photo):
    vitrine.write("photos/cut.jpg", photo()[:900])
    done = vitrine("batch", "photos", *QUESTION, "--out", "r.jsonl")
    assert done.returncode == 1
    assert "cut.jpg: The image is damaged" in done.stderr
    assert "4 of 5 items completed, 1 failed" in done.stderr
    assert len((vitrine.folder / "r.jsonl").read_text().splitlines()) == 5


def test_a_pilot_pauses_with_a_projection_and_resumes(vitrine, photos):
    done = vitrine("batch", "photos", *QUESTION, "--pilot", "2", "--out", "r.csv")
    assert done.returncode == 3, done.stderr
    batch_id = ID.search(done.stderr)[0]
    assert "Of 2 items, 0.0% failed. All 4: cost free, time " in done.stderr
    assert f"vitrine batch resume {batch_id}" in done.stderr
    assert f"vitrine batch watch {batch_id} --out r.csv" in done.stderr
    assert "mugs/a.jpg" in done.stdout, "samples of what it answers"
    assert not (vitrine.folder / "r.csv").exists()
    assert f"{batch_id} is running" in vitrine("batch", "resume", batch_id).stdout
    assert vitrine("batch", "watch", batch_id, "--out", "r.csv").returncode == 0
    assert len(rows_of(vitrine, "r.csv")) == 4


def test_ctrl_c_leaves_the_batch_running_and_watch_takes_it_up_again(vitrine, photos, quick, batches):
    quick.analyst.turn(latency=2)
    process = vitrine.start("batch", "photos", *QUESTION, "--out", "r.csv")
    told = process.stderr.readline().decode()
    done = vitrine.interrupt(process, batches)
    batch_id = ID.search(told)[0]
    assert (done.returncode, done.stdout) == (130, "")
    assert "The batch goes on." in done.stderr
    assert f"vitrine batch watch {batch_id} --out r.csv" in done.stderr
    assert f"vitrine batch cancel {batch_id}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (vitrine.folder / "r.csv").exists()
    quick.analyst.reset()
    assert vitrine("batch", "watch", batch_id, "--out", "r.csv").returncode == 0
    assert len(rows_of(vitrine, "r.csv")) == 4
    assert len(batches()) == 1


def test_no_wait_prints_the_id_and_the_other_commands_take_it(vitrine, photos, quick):
    quick.analyst.turn(latency=3)
    done = vitrine("batch", "photos", *QUESTION, "--pilot", "1", "--no-wait")
    batch_id = done.stdout.strip()
    assert done.returncode == 0
    assert ID.fullmatch(batch_id)
    assert "is paused: " in vitrine("batch", "pause", batch_id).stdout
    assert vitrine("batch", "watch", batch_id).returncode == 3
    assert f"Batch       {batch_id}" in vitrine("batch", "show", batch_id).stdout
    assert json.loads(vitrine("batch", "show", batch_id, "--json").stdout)["status"] == "paused"
    assert batch_id in vitrine("batch", "list").stdout
    assert vitrine("batch", "list", "--status", "completed").stderr == "No batch is completed.\n"
    assert "is cancel" in vitrine("batch", "cancel", batch_id).stdout
    watched = vitrine("batch", "watch", batch_id, "--json")
    assert watched.returncode == 1
    assert [line["status"] for line in json_lines(watched.stdout)][1:] == ["cancelled"] * 3
    quick.analyst.reset()
    assert "is running: " in vitrine("batch", "retry", batch_id, "--status", "cancelled").stdout
    assert vitrine("batch", "watch", batch_id).returncode == 0


def test_a_batch_of_somebody_else_is_not_there(vitrine, quick, nobody):
    done = vitrine("batch", "watch", "batch_01kaj3c0dpw8w0z3f6s9q2xk7v")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vitrine: There is no batch")


def views_of(row):
    return row["sku"], row["custom_id"], [image["view"] for image in row["images"]]


def test_a_folder_of_views_is_a_batch_of_products(vitrine, photo):
    for name in ("A/back.jpg", "A/front.jpg", "머그/1.jpg", "loose.jpg"):
        vitrine.write(f"shop/{name}", photo("red"))
    refused = vitrine("batch", "shop", *QUESTION, "--by", "folder")
    assert refused.returncode == 1
    assert "loose.jpg: it lies in no folder that is called like its SKU." in refused.stderr
    done = vitrine("batch", "shop", *QUESTION, "--by", "folder", "--skip-bad", "--json")
    assert "1 row left out." in done.stderr
    assert [views_of(row) for row in json_lines(done.stdout)] == [
        ("A", "A", ["front", "back"]),
        ("머그", "머그", ["1"]),
    ]


def test_rows_of_a_list_are_joined_by_their_sku_and_faults_have_the_lines_of_the_list(vitrine, photo):
    for color in ("red", "blue"):
        vitrine.write(f"{color}.jpg", photo(color))
    vitrine.write("list.csv", b"sku,view,image\nA,front,red.jpg\nB,front,red.jpg\nA,front,blue.jpg\n")
    refused = vitrine("batch", "list.csv", *QUESTION, "--by", "sku")
    assert refused.returncode == 1
    assert "line 4 (A): view: Another image is its 'front' already." in refused.stderr
    vitrine.write("list.csv", b"sku,view,image\nA,front,red.jpg\nB,front,red.jpg\nA,back,blue.jpg\n")
    done = vitrine("batch", "list.csv", *QUESTION, "--by", "sku", "--json")
    assert [views_of(row) for row in json_lines(done.stdout)] == [
        ("A", "A", ["front", "back"]),
        ("B", "B", ["front"]),
    ]

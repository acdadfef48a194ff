"""vitrine product, as a process against the live system."""

import csv
import io
import json
import random
import re
from pathlib import Path

import pytest

COLORS = ("red", "blue", "green", "yellow", "teal", "navy", "brown", "orange", "purple", "pink")


@pytest.fixture
def photos(vitrine, photo):
    return [vitrine.write(f"photos/{color}.jpg", photo(color)) for color in sorted(COLORS)]


def test_every_image_is_an_analysis_of_its_own_and_a_row_of_the_table(vitrine, photos, analyses):
    done = vitrine("product", *photos)
    assert done.returncode == 0
    assert {made["preset"] for made in analyses()} == {"product"}
    assert all(len(made["images"]) == 1 for made in analyses())
    rows = [line.split()[0] for line in done.stdout.splitlines()[2:]]
    assert rows == [f"{color}.jpg" for color in sorted(COLORS)]
    for heading in ("Category", "Colours", "Quality", "Condition", "Background", "Cost"):
        assert heading in done.stdout.splitlines()[0]
    assert re.fullmatch(r"10 of 10 images described, [\d,]+ tokens, free\n", done.stderr)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)


def test_json_lines_are_whole_analyses_in_the_order_given(vitrine, photos, quick):
    quick.analyst.turn(latency_jitter=1.5)
    order = photos[::-1] + photos
    done = vitrine("product", *order, "--json", "--parallel", "8", "--question", "What is it?")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == order
    assert all(line["question"] == "What is it?" and line["data"]["dominant_colors"] for line in lines)
    colors = [line["file"].split("/")[1].removesuffix(".jpg") for line in lines]
    assert [line["images"][0]["file_name"] for line in lines] == [f"{color}.jpg" for color in colors]


def test_csv_has_a_header_and_a_line_for_each_image(vitrine, photos):
    done = vitrine("product", *photos, "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["file"] for row in rows] == photos
    assert {row["status"] for row in rows} == {"completed"}
    assert all(float(row["confidence"]) <= 1 and row["cost"] == "0.0" and row["error"] == "" for row in rows)
    assert all(row["colours"] for row in rows)


@pytest.mark.parametrize("mark", "=+-@")
def test_csv_holds_nothing_that_a_spreadsheet_would_calculate(scripted_user, scripted, analysis, photo, mark):
    name = scripted_user.write(f"{mark}1+1.jpg", photo())
    scripted.say(analysis(data={"category": f"{mark}cmd()", "tags": [f"{mark}a", "b"], "confidence": -1}))
    (row,) = csv.DictReader(io.StringIO(scripted_user("product", "--csv", "--", name).stdout))
    assert (row["file"], row["category"], row["tags"]) == (f"'{name}", f"'{mark}cmd()", f"'{mark}a, b")
    assert (row["confidence"], row["brand"]) == ("-1", "")


def test_a_broken_image_among_good_ones_fails_alone(vitrine, photos, photo):
    broken = vitrine.write("broken.jpg", photo()[:900])
    empty = vitrine.write("empty.jpg", b"")
    text = vitrine.write("notes.jpg", b"not an image")
    done = vitrine("product", photos[0], broken, empty, text, photos[1], "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [line["status"] for line in lines] == ["completed", "failed", "failed", "failed", "completed"]
    assert [line["error"]["code"] for line in lines[1:3]] == ["image_undecodable", "invalid_image"]
    failures = [line.split(":")[0] for line in done.stderr.splitlines()[:-1]]
    assert failures == [broken, empty, text]
    assert "2 of 5 images described, 3 failed" in done.stderr


def test_a_folder_stands_for_its_images_sorted(vitrine, photos, photo):
    for name in ("photos/notes.txt", "photos/.hidden.jpg", "photos/deeper/d.jpg"):
        vitrine.write(name, photo())
    alone = vitrine.write("alone.WEBP", photo("red", form="WEBP"))
    done = vitrine("product", alone, "photos", "--json")
    assert done.returncode == 0
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [alone, *photos]


def test_korean_file_names_are_in_table_csv_and_json(vitrine, photo):
    name = vitrine.write("빨간 머그컵.jpg", photo("red"))
    for form in ([], ["--csv"], ["--json"]):
        assert name in vitrine("product", name, *form).stdout


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [("nope.jpg", "There is no file nope.jpg."), ("empty", "There is no image file in the folder empty.")],
)
def test_what_is_not_there_is_status_2_before_anything_is_sent(vitrine, photos, analyses, argument, sentence):
    (vitrine.folder / "empty").mkdir()
    done = vitrine("product", photos[0], argument)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert analyses() == []


def test_what_cannot_be_read_in_a_folder_fails_alone(vitrine, photos):
    folder = "unreadable"
    vitrine.write(f"{folder}/a.jpg", (vitrine.folder / photos[0]).read_bytes())
    bad = vitrine.write_unreadable(folder)
    done = vitrine("product", folder, "--csv")
    rows = {row["file"]: row["status"] for row in csv.DictReader(io.StringIO(done.stdout))}
    assert done.returncode == 1
    assert rows == {f"{folder}/a.jpg": "completed"} | {f"{folder}/{name}": "failed" for name in bad}
    assert "1 of 5 images described, 4 failed" in done.stderr


def test_ctrl_c_prints_what_is_done_and_cancels_the_rest(vitrine, photos, quick, analyses):
    quick.analyst.turn(latency=1, latency_jitter=6)
    process = vitrine.start("product", *photos * 5, "--csv", "--parallel", "4")
    done = vitrine.interrupt(process, lambda: any(made["status"] == "completed" for made in analyses()))
    states = [made["status"] for made in analyses()]
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 130
    assert set(states) == {"completed", "cancelled"}
    assert len(states) < 50
    assert [row["status"] for row in rows].count("completed") == states.count("completed")
    assert f"{states.count('completed')} of 50 images described" in done.stderr
    assert "Stopped." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", ["bad key", "nobody there"])
def test_what_no_image_would_get_past_is_said_once(vitrine, photos, case):
    wrong = {
        "bad key": {"VITRINE_API_KEY": "vt_wrong"},
        "nobody there": {"VITRINE_URL": "http://127.0.0.1:9"},
    }
    vitrine.environment |= wrong[case]
    done = vitrine("product", *photos)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line for line in done.stderr.splitlines() if line.startswith("vitrine: ")] == [
        done.stderr.splitlines()[-1]
    ]
    assert "0 of 10 images described" in done.stderr


def test_neither_large_images_nor_many_of_them_take_memory(scripted_user, scripted, analysis):
    scripted.say(analysis(data={"dominant_colors": ["red"]}))
    large = scripted_user.write("large.jpg", random.Random(1).randbytes(9_000_000))
    small = scripted_user.write("small.jpg", random.Random(1).randbytes(100_000))

    def peak(*images):
        """Of the process, in bytes; read when the last line is there."""
        process = scripted_user.start("product", *images, "--csv")
        for _ in range(len(images)):
            assert process.stdout.readline()
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert scripted_user.end(process).returncode == 0
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    one = peak(small)
    assert peak(*[large] * 16) < one + 8_000_000
    assert peak(*[small] * 500) < one + 8_000_000

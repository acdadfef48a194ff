"""vitrine estimate: takes what vitrine batch takes, sends sizes alone, and makes nothing."""

import io
import json
import zipfile

import pytest

TILES = 765
"""What 1,024 by 768 px take of the pixel analyst."""
QUESTION = ("--question", "What colour is it?")


@pytest.fixture
def stored(quick, session):
    """What the user's account has, of anything."""

    def count():
        return [
            len(session.get(f"{quick.url}/api/v1/{name}?limit=100", timeout=10).json()["data"])
            for name in ("analyses", "batches", "files")
        ]

    return count


@pytest.fixture
def big(photo):
    return photo(size=(1024, 768))


def zipped(members):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def estimated(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def images(found):
    return found["items"], found["images"], found["usage"]["prompt_tokens_details"]["image_tokens"]


def test_a_folder_a_zip_and_both_lists_come_to_the_same_and_nothing_is_made(vitrine, big, stored):
    for name in ("a.jpg", "deep/b.jpg"):
        vitrine.write(f"photos/{name}", big)
    vitrine.write("photos.zip", zipped({"a.jpg": big, "deep/b.jpg": big, "__MACOSX/._a.jpg": b"left"}))
    asked = "What colour is it?"
    lines = [json.dumps({"image": f"photos/{name}", "question": asked}) for name in ("a.jpg", "deep/b.jpg")]
    vitrine.write("list.jsonl", "\n".join(lines).encode())
    vitrine.write("list.csv", f"image,question\nphotos/a.jpg,{asked}\nphotos/deep/b.jpg,{asked}\n".encode())
    found = [
        estimated(vitrine("estimate", *arguments, "--json"))
        for arguments in (("photos", *QUESTION), ("photos.zip", *QUESTION), ("list.jsonl",), ("list.csv",))
    ]
    assert images(found[0]) == (2, 2, 2 * TILES)
    assert found == [found[0]] * 4
    assert stored() == [0, 0, 0]


def test_several_sources_and_images_are_one_estimate(vitrine, big):
    vitrine.write("photos/a.jpg", big)
    vitrine.write("more/a.jpg", big)
    vitrine.write("one.jpg", big)
    found = estimated(vitrine("estimate", "photos", "more", "one.jpg", *QUESTION, "--json"))
    assert images(found) == (3, 3, 3 * TILES)


def test_cells_of_a_csv_have_the_kinds_that_a_batch_would_read(vitrine, big):
    vitrine.write("a.jpg", big)
    vitrine.write("b.jpg", big)
    vitrine.write(
        "list.csv",
        b"custom_id,images,question,detail,max_tokens,metadata\n"
        b'one,a.jpg; b.jpg,?,low,50,"{""sku"": ""A-1""}"\n'
        b"one,https://shop.example/a.jpg,?,,,\n",
    )
    found = estimated(vitrine("estimate", "list.csv", "--json"))
    assert (found["items"], found["images"], found["images_measured"]) == (2, 3, 2)
    assert found["usage"]["completion_tokens"] == 50 + 120


@pytest.mark.parametrize("source", ["photos", "photos.zip", "list.csv"])
def test_views_of_a_product_are_one_item(vitrine, big, source):
    members = {"A-1/front.jpg": big, "A-1/back.jpg": big, "B-2/front.jpg": big}
    for name, content in members.items():
        vitrine.write(f"photos/{name}", content)
    vitrine.write("photos.zip", zipped(members))
    rows = "".join(f"{name[:3]},photos/{name}\n" for name in members)
    vitrine.write("list.csv", f"sku,image\n{rows}".encode())
    by = "sku" if source == "list.csv" else "folder"
    found = estimated(vitrine("estimate", source, *QUESTION, "--by", by, "--json"))
    assert images(found) == (2, 3, 3 * TILES)


def test_what_is_bad_is_named_and_left_out(vitrine, big):
    vitrine.write("a.jpg", big)
    vitrine.write("page.jpg", b"<!doctype html>")
    vitrine.write("list.csv", b"image,question\na.jpg,?\ngone.jpg,?\npage.jpg,?\na.jpg\n")
    done = vitrine("estimate", "list.csv", "--json")
    assert estimated(done)["items"] == 1
    assert "line 3: gone.jpg: there is no such file." in done.stderr
    assert "line 4: page.jpg: it is an HTML page, not an image." in done.stderr
    assert "line 5: has 1 columns where the first line names 2." in done.stderr
    assert "3 items left out." in done.stderr


def test_what_cannot_be_read_is_named_once_in_a_folder_and_by_its_own_name(vitrine, big):
    vitrine.write("photos/a.jpg", big)
    vitrine.write("photos/cut.jpg", big[:20])
    unsized = {"cut.jpg": "it does not say how large it is; it may be no image."}
    bad = vitrine.write_unreadable("photos") | unsized
    done = vitrine("estimate", "photos", *QUESTION, "--json")
    assert estimated(done)["items"] == 1
    assert set(done.stderr.splitlines()) == {
        *(f"{name}: {why}" for name, why in bad.items()),
        "5 items left out.",
    }
    named = ("photos/empty.jpg", "photos/a.jpg", "photos/cut.jpg")
    done = vitrine("estimate", *named, *QUESTION, "--json")
    assert estimated(done)["items"] == 1
    assert done.stderr.splitlines() == [
        f"photos/empty.jpg: {bad['empty.jpg']}",
        f"photos/cut.jpg: {bad['cut.jpg']}",
        "2 items left out.",
    ]


def test_bad_members_of_an_archive_are_named_and_left_out(vitrine, big):
    vitrine.write("p.zip", zipped({"a.jpg": big, "notes.txt": b"no image", "../b.jpg": big}))
    done = vitrine("estimate", "p.zip", *QUESTION, "--json")
    assert estimated(done)["items"] == 1
    assert "notes.txt: it does not say how large it is" in done.stderr
    assert "2 items left out." in done.stderr


def test_what_the_server_refuses_is_told_with_its_line(vitrine, big):
    vitrine.write("a.jpg", big)
    vitrine.write("list.csv", b"image,question,colour\na.jpg,?,\n\na.jpg,?,red\n")
    done = vitrine("estimate", "list.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert "line 4: colour: There is no such field" in done.stderr
    assert done.stderr.endswith("vitrine: 1 problem.\n")


def test_what_is_wrong_with_several_items_is_told_once(vitrine, big):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        vitrine.write(f"photos/{name}", big)
    done = vitrine("estimate", "photos", "--preset", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    [line, end] = done.stderr.splitlines()
    assert line.startswith("All 3 items: preset: ")
    assert end == "vitrine: 3 problems."
    vitrine.write("list.csv", b"image,question,colour\na.jpg,?,red\na.jpg,?,\na.jpg,?,red\na.jpg,?,red\n")
    vitrine.write("a.jpg", big)
    assert "line 2 and 2 more: colour: " in vitrine("estimate", "list.csv").stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos"], "Say what to ask about the images: --question, or --preset."),
        (["empty", *QUESTION], "There is no image or item to estimate."),
        (["empty.csv", *QUESTION], "There is no image or item to estimate."),
        (["nope", *QUESTION], "There is no file nope."),
        (["photos", *QUESTION, "--by", "sku"], "--by sku is for a list"),
        (["empty.csv", *QUESTION, "--by", "name"], "--by sku is for a list"),
        (["photos/a.jpg", *QUESTION, "--by", "name"], "not for single images"),
    ],
)
def test_a_command_that_is_wrong_is_status_2(vitrine, photo, arguments, sentence):
    vitrine.write("photos/a.jpg", photo())
    vitrine.write("empty.csv", b"")
    (vitrine.folder / "empty").mkdir()
    done = vitrine("estimate", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("broken.zip", b"PK\3\4 cut off", "broken.zip cannot be read: The ZIP archive is broken or cut off"),
        ("latin.csv", b"image\n\xff.jpg\n", "latin.csv is not UTF-8"),
        ("quote.csv", b'image\n"a\n', "quote.csv, line 2, is not CSV"),
        ("none.jsonl", b"{", "Nothing is left to estimate."),
    ],
)
def test_a_source_that_cannot_be_read_is_one_sentence(vitrine, name, content, sentence):
    vitrine.write(name, content)
    done = vitrine("estimate", name, *QUESTION)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_people_read_what_it_takes_and_what_is_not_counted(vitrine, big):
    vitrine.write("photos/a.jpg", big)
    done = vitrine("estimate", "photos", "--preset", "product", "--cache", "off")
    lines = done.stdout.splitlines()
    assert lines[0] == "1 item, 1 image"
    assert lines[1].startswith("Tokens  ")
    assert f"({round(1.02 * TILES)} of them images)" in lines[1]
    assert "Assumed 2% of the calls are made again, to mend an answer" in lines
    assert lines[-1].startswith("There are no answers of this sort yet")

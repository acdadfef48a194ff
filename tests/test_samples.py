"""The sample photos are what the catalogue says they are."""

import hashlib

import pytest
from PIL import Image

from local.samples import GPS, ORIENTATION, draw_samples


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return {sample.name: sample for sample in draw_samples(folder)}


def _digests(samples):
    return [hashlib.sha256(sample.path.read_bytes()).hexdigest() for sample in samples]


def test_there_are_a_dozen_with_a_question_each(drawn):
    assert len(drawn) == 12
    assert all(sample.question.strip() and sample.expected for sample in drawn.values())


def test_drawing_twice_gives_the_same_bytes(drawn, tmp_path):
    assert _digests(draw_samples(tmp_path)) == _digests(drawn.values())


def test_a_second_call_draws_nothing(drawn):
    folder = drawn["mug"].path.parent
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert draw_samples(folder) == list(drawn.values())
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_all_together_are_small(drawn):
    assert sum(sample.path.stat().st_size for sample in drawn.values()) < 8_000_000


def test_formats_and_sizes_are_as_varied_as_uploads(drawn):
    sizes = []
    formats = set()
    for sample in drawn.values():
        with Image.open(sample.path) as image:
            image.load()
            sizes += image.size
            formats.add(image.format)
    assert formats == {"JPEG", "PNG", "WEBP", "GIF"}
    assert (min(sizes), max(sizes)) == (800, 3000)


def test_the_awkward_ones_are_awkward(drawn):
    with Image.open(drawn["trainer"].path) as trainer:
        assert trainer.getexif()[ORIENTATION] == 6
        assert trainer.getexif().get_ifd(GPS)[1] == "N"
        assert trainer.height > trainer.width
    with Image.open(drawn["chair"].path) as chair:
        assert chair.mode == "CMYK"
    with Image.open(drawn["lamp"].path) as lamp:
        assert lamp.info["progressive"]
    with Image.open(drawn["t-shirt"].path) as shirt:
        assert shirt.getchannel("A").getextrema() == (0, 255)

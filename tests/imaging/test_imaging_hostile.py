"""Lies, bombs and damage cost little, and raise one of two errors."""

import re
import struct
import time
import zlib
from pathlib import Path

import pytest
from hostile import (
    SECRET,
    avif_claiming,
    damaged,
    encoded,
    gif_claiming,
    gif_of_frames,
    jpeg_claiming,
    menagerie,
    one_of_each,
    png_claiming,
    textured,
    tiff_claiming,
    webps_claiming,
)

from core.errors import ImageTooLarge, ImageUndecodable
from worker.imaging import Policy, Prepared, prepare
from worker.preparer import Preparer

POLICY = Policy()
SEEDS = range(400)


def _bombs():
    yield "png of 169 Mpx in 20 kB", png_claiming(13000, 13000)
    yield "png beyond Pillow's own limit", png_claiming(2**31 - 1, 2**31 - 1, rows=0)
    for index, webp in enumerate(webps_claiming(9000, 9000)):
        yield f"webp of 81 Mpx, kind {index}", webp
    yield "webp of 268 Mpx", webps_claiming(16383, 16383)[1]
    yield "avif of 40 Mpx", avif_claiming(8000, 5000)
    yield "jpeg of 4 Gpx", jpeg_claiming(65500, 65500)
    yield "gif of 4 Gpx", gif_claiming(65500, 65500)
    yield "tiff of 3.6 Gpx", tiff_claiming(60000, 60000)
    yield "one too many", png_claiming(5000, 5001)


@pytest.fixture(scope="module")
def preparer():
    with Preparer() as started:
        started.warm()
        yield started


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in _bombs()])
def test_a_bomb_is_refused_from_its_header(preparer, content):
    assert len(content) < 22_000
    pid = preparer._decoders[0]._child._process.pid
    before = _memory(pid, "VmPeak")
    with pytest.raises(ImageTooLarge, match=r"at most 25 million"):
        preparer.prepare(content, POLICY)
    assert _memory(pid, "VmPeak") - before < 20_000_000


def test_exactly_the_limit_is_taken():
    assert prepare(png_claiming(5000, 5000), POLICY).original_width == 5000


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (0, 0)])
def test_no_pixels_is_an_error(size):
    for content in (png_claiming(*size), jpeg_claiming(*size), tiff_claiming(*size)):
        with pytest.raises(ImageUndecodable):
            prepare(content, POLICY)


def test_of_three_thousand_frames_one_is_decoded():
    content = gif_of_frames(3000)
    started = time.process_time()
    prepared = prepare(content, POLICY)
    assert "first_frame" in prepared.actions
    assert time.process_time() - started < 1


def test_strips_that_are_not_there_are_an_error():
    with pytest.raises((ImageUndecodable, ImageTooLarge)):
        prepare(tiff_claiming(4000, 4000), POLICY)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"])
def test_a_truncated_file_is_an_error(name):
    content = encoded(textured(400, 300), name, **({"speed": 10} if name == "AVIF" else {}))
    for part in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(ImageUndecodable):
            prepare(content[: int(len(content) * part)], POLICY)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_png_that_breaks_off_inside_is_an_error_and_no_picture_with_a_black_part(place):
    content = bytearray(encoded(textured(256, 256), "PNG"))
    start = int(len(content) * place)
    content[start : start + 16] = bytes(16)
    with pytest.raises(ImageUndecodable):
        prepare(bytes(content), POLICY)


def test_a_large_truncated_jpeg_is_an_error_when_decoded_at_a_fraction_too():
    content = encoded(textured(2400, 1600), "JPEG")
    with pytest.raises(ImageUndecodable, match="truncated"):
        prepare(content[: len(content) // 2], Policy(best_side=300))


def _with_chunk(kind, body):
    """A PNG with a chunk more, behind its header."""
    content, chunk = one_of_each()["PNG"], kind + body
    crc = struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + struct.pack(">I", len(body)) + chunk + crc + content[33:]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_with_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000))), " (it has more text beside"),
        (_with_chunk(b"gAMA", b"\0"), ": save it"),
        (_with_chunk(b"pHYs", b"\0"), ": save it"),
        (one_of_each()["PNG"][:40], ": save it"),
    ],
)
def test_damage_is_told_in_our_words_and_not_in_those_of_the_decoder(content, reason):
    with pytest.raises(ImageUndecodable) as refused:
        prepare(content, POLICY)
    assert f"The image is damaged and cannot be decoded{reason}" in refused.value.message
    assert not re.search(r"buffer|unpack|Plugin|MAX_|bytes|Errno|object", refused.value.message)


def test_damage_raises_the_two_errors_and_nothing_else():
    """Through a decoder process, for damage is where libraries crash; which must not happen often either."""
    outcomes = {Prepared: 0, ImageUndecodable: 0, ImageTooLarge: 0}
    with Preparer(deadline=5) as preparer:
        preparer.warm()
        process = preparer._decoders[0]._child._process
        before = _memory(process.pid, "VmRSS")
        for seed in SEEDS:
            try:
                outcome = preparer.prepare(damaged(seed), POLICY)
            except (ImageUndecodable, ImageTooLarge) as error:
                outcome = error
            outcomes[type(outcome)] += 1
        assert process.poll() is None
        assert _memory(process.pid, "VmRSS") - before < 40_000_000
    assert sum(outcomes.values()) == len(SEEDS)
    assert outcomes[ImageUndecodable] > 100


@pytest.mark.slow
@pytest.mark.parametrize("best_side", [1024, 40], ids=["as large as it is", "resampled"])
def test_of_two_thousand_hostile_files_each_is_prepared_or_refused_in_its_time_and_memory(best_side):
    """No decoder dies, none takes 5 s or 700 MB, and what is prepared holds no secret of its source."""
    done, refused = 0, []
    with Preparer(deadline=5) as preparer:
        preparer.warm()
        process = preparer._decoders[0]._child._process
        before = _memory(process.pid, "VmHWM")
        for name, content in menagerie(2000):
            try:
                sent = preparer.prepare(content, Policy(best_side=best_side)).content
            except (ImageUndecodable, ImageTooLarge) as error:
                refused.append(error.message)
                continue
            done += 1
            assert SECRET not in sent, name
            assert b"Exif" not in sent, name
            assert b"ICC_PROFILE" not in sent, name
        assert process.poll() is None
        assert _memory(process.pid, "VmHWM") - before < 700_000_000
    assert (done + len(refused), done > 500, len(refused) > 500) == (2000, True, True)
    assert not [message for message in refused if "ended the process" in message or "too long" in message]


def test_the_messages_say_what_to_do():
    with pytest.raises(ImageUndecodable, match=r"damaged .*: save it again as JPEG or PNG\.$"):
        prepare(one_of_each()["JPEG"][:300], POLICY)
    with pytest.raises(
        ImageTooLarge, match=r"13,000 by 13,000 pixels, .* 25 million .*: send a smaller one\.$"
    ):
        prepare(png_claiming(13000, 13000), POLICY)


def _memory(pid, kind):
    """Bytes, by the name that /proc gives them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))

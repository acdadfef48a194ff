"""A JPEG that is fit as it is goes out pixel for pixel, and nothing of it but the picture."""

import random
from io import BytesIO

import pytest
from hostile import SECRET, encoded, textured
from PIL import Image, ImageCms, ImageFilter

from core.likeness import SAME_BITS, SAME_STRANGENESS
from worker import features
from worker.imaging import Policy, prepare
from worker.jpeg_segments import cleaned

POLICY = Policy()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
APP0, APP1, APP2, APP13, APP14, COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
DQT, DHT, DNL, DRI, FRAME, SCAN = 0xDB, 0xC4, 0xDC, 0xDD, 0xC0, 0xDA


def picture(width=320, height=240, seed=1):
    return textured(width, height, seed).filter(ImageFilter.GaussianBlur(1))


PLAIN = encoded(picture(), "JPEG")


def segment(marker, body):
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body


def with_segments(*segments):
    return PLAIN[:2] + b"".join(segments) + PLAIN[2:]


def before_the_scan(*segments):
    at = PLAIN.index(b"\xff\xda")
    return PLAIN[:at] + b"".join(segments) + PLAIN[at:]


def exif(orientation=1, thumbnail=b""):
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = SECRET.decode()
    made.get_ifd(0x8825)[29] = SECRET.decode()
    return made.tobytes() + thumbnail


def multi_picture():
    """As phones write them: a second picture after the end of the first, with a place in its EXIF."""
    second = picture(seed=2)
    second.encoderinfo = {"exif": exif()}
    return encoded(picture(), "MPO", save_all=True, append_images=[second]) + SECRET


def pixels(content):
    return Image.open(BytesIO(content)).convert("RGB").tobytes()


XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + SECRET
MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + SECRET * 3000
PLACES = {
    "exif": with_segments(segment(APP1, exif())),
    "exif twice": with_segments(segment(APP1, exif()), segment(APP1, exif())),
    "the thumbnail of exif": with_segments(
        segment(APP1, exif(thumbnail=encoded(picture(64, 48), "JPEG", comment=SECRET)))
    ),
    "xmp": with_segments(segment(APP1, XMP)),
    "extended xmp": with_segments(segment(APP1, XMP), segment(APP1, MORE_XMP), segment(APP1, MORE_XMP)),
    "photoshop": with_segments(segment(APP13, b"Photoshop 3.0\08BIM" + SECRET)),
    "profiles": with_segments(segment(APP2, b"ICC_PROFILE\0\1\1" + SRGB), segment(APP2, b"FPXR\0" + SECRET)),
    "jfif's own thumbnail": with_segments(segment(APP0, b"JFXX\0\x10" + SECRET)),
    "any application": with_segments(*(segment(marker, SECRET) for marker in range(0xE1, 0xF0))),
    "comments": with_segments(segment(COMMENT, SECRET), segment(COMMENT, SECRET)),
    "a comment before the scan": before_the_scan(segment(COMMENT, SECRET), segment(APP1, XMP)),
    "behind the end": PLAIN + SECRET,
    "an archive behind the end": PLAIN + b"PK\3\4" + SECRET,
    "another picture behind the end": PLAIN + with_segments(segment(APP1, exif())),
    "a multi-picture file": multi_picture(),
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in PLACES.items()])
def test_of_a_picture_that_is_kept_nothing_but_the_picture_is_sent(content):
    assert SECRET in content
    prepared = prepare(content, POLICY)
    assert prepared.actions == ("kept",)
    assert SECRET not in prepared.content
    assert prepared.content.count(b"\xff\xd8\xff") == 1
    assert not [
        name for name in (b"Exif", b"ICC_PROFILE", b"xmp", b"MPF", b"JFXX") if name in prepared.content
    ]
    assert pixels(prepared.content) == pixels(content)


@pytest.mark.parametrize(
    "options",
    [
        *({"quality": quality, "subsampling": kind} for quality in (20, 75) for kind in (0, 1, 2)),
        {"optimize": True},
        {"exif": exif()},
        {"icc_profile": SRGB},
        {"quality": 40, "dpi": (72, 72)},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_of_any_usual_kind_is_kept_to_the_pixel_and_that_is_told(mode, options):
    content = encoded(picture(333, 257).convert(mode), "JPEG", **options)
    prepared = prepare(content, POLICY)
    assert (prepared.actions, prepared.quality) == (("kept",), None)
    assert (prepared.width, prepared.height, prepared.original_width, prepared.original_height) == (
        333,
        257,
    ) * 2
    assert pixels(prepared.content) == pixels(content)
    assert len(prepared.content) <= len(content)


def test_what_is_kept_may_be_kept_again():
    once = prepare(PLACES["exif"], POLICY).content
    assert prepare(once, POLICY).content == once


@pytest.mark.parametrize(
    ("made", "actions"),
    [
        (lambda: encoded(picture(), "JPEG", progressive=True), ()),
        (lambda: encoded(picture(), "JPEG", restart_marker_rows=1), ()),
        (lambda: encoded(picture(), "JPEG", exif=exif(3)), ("rotated",)),
        (lambda: encoded(picture().convert("CMYK"), "JPEG"), ("converted:CMYK",)),
        (lambda: encoded(picture(), "JPEG", icc_profile=b"no profile"), ()),
        (lambda: encoded(picture(), "JPEG", keep_rgb=True), ()),
        (lambda: encoded(picture(1100, 900), "JPEG"), ("shrunk",)),
        (lambda: encoded(textured(320, 240), "JPEG", quality=100, subsampling=0), ()),
        (lambda: encoded(picture(), "PNG"), ()),
    ],
    ids=["progressive", "restarts", "turned", "cmyk", "broken icc", "rgb", "too large", "too heavy", "png"],
)
def test_what_is_not_fit_as_it_is_is_encoded_anew(made, actions):
    prepared = prepare(made(), POLICY)
    assert (prepared.actions, prepared.quality) == (actions, 85)
    assert SECRET not in prepared.content


def test_what_the_endpoint_would_find_too_large_is_encoded_anew():
    assert len(prepare(PLAIN, Policy(max_bytes=len(PLAIN) - 1000)).content) < len(PLAIN) - 1000


@pytest.mark.parametrize("hidden", [SECRET, b"PK\3\4" + SECRET * 20, bytes(9)])
def test_what_hides_behind_the_last_code_is_not_sent(hidden):
    assert PLAIN.endswith(b"\xff\xd9")
    prepared = prepare(PLAIN[:-2] + hidden + b"\xff\xd9", POLICY)
    assert (prepared.actions, prepared.quality) == ((), 85)
    assert SECRET not in prepared.content


def test_damage_that_a_tolerant_decoder_makes_up_for_is_not_passed_on():
    """A bit flipped in the codes: what is kept are other colours in a sound file."""
    start, kept = PLAIN.index(b"\xff\xda") + 20, 0
    for seed in range(60):
        damaged, dice = bytearray(PLAIN), random.Random(seed)
        damaged[dice.randrange(start, len(PLAIN) - 2)] ^= 1 << dice.randrange(8)
        prepared = prepare(bytes(damaged), POLICY)
        kept += prepared.actions == ("kept",)
        assert pixels(prepared.content)
    assert 0 < kept < 60


def patched(marker, at, value):
    """With other bytes in the segment of a marker, counted from the marker itself."""
    place = PLAIN.index(bytes((0xFF, marker))) + at
    return PLAIN[:place] + value + PLAIN[place + len(value) :]


UNUSUAL = {
    "nothing after its start": PLAIN[:2],
    "cut in a segment": PLAIN[:40],
    "cut in its codes": PLAIN[:-300],
    "no end": PLAIN[:-2],
    "bytes between segments": with_segments(b"\0" + SECRET),
    "padding before a marker": with_segments(b"\xff"),
    "a segment shorter than its length": PLAIN[:2] + b"\xff\xe1\0\1" + PLAIN[2:],
    "a segment that goes beyond the end": PLAIN[:2] + b"\xff\xe1\xff\xff" + PLAIN[2:400],
    "tables over and over": before_the_scan(*(segment(DQT, b"\0" + SECRET + bytes(49)) for _ in range(70))),
    "two sizes": before_the_scan(segment(FRAME, b"\x08\0\xf0\1\x40\1\1\x11\0")),
    "no size": PLAIN.replace(b"\xff\xc0", b"\xff\xe5", 1),
    "12 bits": patched(FRAME, 4, b"\x0c"),
    "two parts": patched(FRAME, 9, b"\2"),
    "parts of other names": patched(FRAME, 10, b"R"),
    "an odd sampling": patched(FRAME, 11, b"\x41"),
    "an arithmetic code": PLAIN.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "lines counted at the end": before_the_scan(segment(DNL, b"\0\xf0")),
    "a restart that nobody announced": PLAIN[:-9] + b"\xff\xd0" + PLAIN[-9:],
    "restarts": before_the_scan(segment(DRI, b"\0\4")),
    "a second scan": PLAIN[:-2] + PLAIN[PLAIN.index(b"\xff\xda") :],
    "a comment behind the scan": PLAIN[:-2] + segment(COMMENT, SECRET) + b"\xff\xd9",
    "a start within": with_segments(b"\xff\xd8"),
    "colours that adobe says are no YCbCr": with_segments(segment(APP14, b"Adobe\0\x64\0\0\0\0\0")),
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in UNUSUAL.items()])
def test_only_what_is_plain_in_every_way_is_cleaned(content):
    assert content != PLAIN
    assert cleaned(PLAIN)
    assert cleaned(content) is None


@pytest.mark.parametrize("size", [(96, 72), (256, 200), (1024, 683), (2048, 1365)])
def test_a_picture_looks_the_same_whether_it_is_kept_or_encoded_anew(size):
    policy = Policy(best_side=2048)
    content = encoded(picture(*size), "JPEG")
    kept = prepare(content, policy)
    anew = prepare(encoded(Image.open(BytesIO(content)), "PNG"), policy)
    assert (kept.actions, anew.actions) == (("kept",), ())
    assert kept.features.is_near(anew.features, SAME_BITS // 2, SAME_STRANGENESS)
    assert kept.features.is_near(features.measure(picture(*size)), SAME_BITS // 2, SAME_STRANGENESS)

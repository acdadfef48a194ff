"""Every format, pixel layout, orientation and shape comes out as the same kind of clean JPEG."""

import json
import struct
import zlib
from io import BytesIO

import pytest
from hostile import encoded, one_of_each, textured
from PIL import Image, ImageChops, ImageStat

from core.errors import ImageTooLarge, ImageUndecodable
from core.image_sizes import Sizing
from core.image_tokens import counting
from worker.imaging import FORMATS, Policy, fitted, prepare

POLICY = Policy()


def opened(prepared):
    image = Image.open(BytesIO(prepared.content))
    image.load()
    return image


def difference(one, other):
    """Mean absolute difference per channel, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_is_read_by_its_content(name):
    prepared = prepare(one_of_each()[name], POLICY)
    image = opened(prepared)
    assert (prepared.original_format, prepared.media_type) == (name, "image/jpeg")
    assert image.format == "JPEG"
    assert image.size == (prepared.width, prepared.height) == (96, 64)
    assert difference(image, textured(96, 64)) < 14


def test_every_format_shrinks_to_the_same_picture():
    reference = textured(900, 600).resize((450, 300), Image.Resampling.LANCZOS)
    for name in sorted(FORMATS):
        options = {"speed": 10} if name == "AVIF" else {}
        prepared = prepare(encoded(textured(900, 600), name, **options), Policy(best_side=460))
        assert opened(prepared).size == (450, 300), name
        assert difference(opened(prepared), reference) < 14, name


MODES = {
    "1": ("PNG", "TIFF", "BMP", "GIF"),
    "L": ("PNG", "JPEG", "TIFF", "BMP", "AVIF", "WEBP", "GIF"),
    "LA": ("PNG", "TIFF", "WEBP", "AVIF"),
    "P": ("PNG", "GIF", "TIFF", "BMP"),
    "PA": ("TIFF",),
    "RGB": ("PNG", "JPEG", "TIFF", "BMP", "AVIF", "WEBP", "GIF"),
    "RGBA": ("PNG", "TIFF", "WEBP", "AVIF", "BMP", "GIF"),
    "RGBX": ("TIFF",),
    "CMYK": ("JPEG", "TIFF"),
    "YCbCr": ("TIFF",),
    "LAB": ("TIFF",),
    "I": ("TIFF",),
    "F": ("TIFF",),
}


@pytest.mark.parametrize(("mode", "name"), [(mode, name) for mode, names in MODES.items() for name in names])
@pytest.mark.parametrize("side", [40, 1000])
def test_every_pixel_layout_keeps_its_look(mode, name, side):
    original = textured(80, 60).convert(mode)
    prepared = prepare(encoded(original, name), Policy(best_side=side))
    look = original.convert("RGB") if mode != "1" else original.convert("L")
    image = opened(prepared)
    assert image.mode in {"L", "RGB"}
    assert max(image.size) == min(side, 80)
    assert difference(image, look.resize(image.size, Image.Resampling.BOX)) < (40 if mode == "1" else 16)


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bits_keep_their_brightness(mode):
    ramp = struct.pack(f"{'>' if mode == 'I;16B' else '<'}256H", *range(128, 65536, 256))
    image = Image.frombytes(mode, (256, 1), ramp).resize((256, 32), Image.Resampling.NEAREST)
    for name in ("PNG", "TIFF"):
        prepared = prepare(encoded(image, name), POLICY)
        row = [opened(prepared).convert("L").getpixel((x, 16)) for x in range(256)]
        assert max(abs(value - x) for x, value in enumerate(row)) <= 3
        assert f"converted:{mode}" in prepared.actions or name == "PNG"


@pytest.mark.parametrize(("kind", "mode", "channels"), [(2, "RGB", 3), (6, "RGBA", 4), (4, "LA", 2)])
def test_sixteen_bits_in_each_of_several_channels_become_eight_and_that_is_told(kind, mode, channels):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + b"\x80\x12" * channels * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    prepared = prepare(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks), POLICY)
    assert prepared.actions[0] == f"converted:{mode};16"


def test_a_picture_whose_size_is_below_zero_is_told_so():
    content = bytearray(encoded(textured(8, 8), "BMP"))
    struct.pack_into("<i", content, 18, -5)
    with pytest.raises(ImageUndecodable, match="less than 0"):
        prepare(bytes(content), POLICY)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.0, 255.0), (-20.0, 4000.0), (0.0, 65535.0), (7.0, 7.0)]
)
def test_floats_are_brought_into_range(low, high):
    image = Image.linear_gradient("L").convert("F").point(lambda v: v * ((high - low) / 255) + low)
    grey = opened(prepare(encoded(image, "TIFF"), POLICY)).convert("L").getextrema()
    assert (grey[0] <= 4 and grey[1] >= 251) or low == high


def test_floats_that_are_no_numbers_are_an_image_too():
    image = Image.new("F", (20, 20), 0.5)
    image.putpixel((3, 3), float("nan"))
    image.putpixel((4, 4), float("inf"))
    assert prepare(encoded(image, "TIFF"), POLICY).width == 20


def _numbered():
    """Four quarters of grey, so that every turn and flip looks different."""
    image = Image.new("L", (160, 80))
    for index, grey in enumerate((10, 90, 170, 250)):
        image.paste(
            grey, (80 * (index % 2), 40 * (index // 2), 80 * (index % 2) + 80, 40 * (index // 2) + 40)
        )
    return image.convert("RGB")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied(name, orientation):
    seen = _numbered()
    stored = seen
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that takes what is seen to storage
    if orientation > 1:
        stored = seen.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    prepared = prepare(encoded(stored, name, exif=exif), Policy(best_side=40))
    image = opened(prepared)
    assert (prepared.original_width, prepared.original_height) == (160, 80)
    assert image.size == (40, 20)
    corners = [image.convert("L").getpixel(at) for at in ((8, 4), (32, 4), (8, 16), (32, 16))]
    assert [round(value / 80) for value in corners] == [0, 1, 2, 3]
    assert ("rotated" in prepared.actions) == (orientation > 1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_orientation_is_ignored():
    for exif in (b"Exif\0\0junk", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0"):
        prepared = prepare(encoded(textured(60, 40), "JPEG", exif=exif), POLICY)
        assert (prepared.width, prepared.actions) == (60, ())


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1), (2, 5000), (5000, 3), (1025, 1024)])
def test_any_shape_keeps_a_pixel(name, size):
    prepared = prepare(encoded(Image.new("RGB", size, "red"), name), POLICY)
    assert opened(prepared).size == (prepared.width, prepared.height)
    assert min(prepared.width, prepared.height) >= 1
    assert max(prepared.width, prepared.height) <= 1024


def test_the_longest_side_fits_is_never_enlarged_and_never_much_smaller():
    for best_side in (1, 512, 1024, 2048):
        for longest in range(1, 9000, 37):
            for size in ((longest, max(1, longest * 2 // 3)), (max(1, longest // 7), longest)):
                width, height = fitted(*size, best_side)
                assert min(width, height) >= 1
                assert 0.95 * min(longest, best_side) <= max(width, height) <= min(longest, best_side)
                assert abs(width * size[1] - height * size[0]) <= 2 * max(size)


def test_a_multi_picture_jpeg_is_its_first_picture():
    first, second = textured(64, 48, seed=1), textured(64, 48, seed=2)
    mpo = encoded(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(BytesIO(mpo)).format == "MPO"
    prepared = prepare(mpo, POLICY)
    assert prepared.original_format == "JPEG"
    assert difference(opened(prepared), first) < 12 < difference(opened(prepared), second)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_taken_and_said_so(name):
    first, second = textured(64, 48, seed=1), textured(64, 48, seed=2)
    moving = encoded(first, name, save_all=True, append_images=[second], duration=100)
    prepared = prepare(moving, POLICY)
    assert prepared.actions == ("first_frame",)
    assert difference(opened(prepared), first) < 16
    assert prepare(encoded(first, name), POLICY).actions == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"  \n", "an empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "a video"),
        (b'{"error": "not found"}', "text"),
        (b"\x00\x01\x02\x03", "a file of an unknown kind"),
        (b"P6 1 1 255 abc", "text"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(content, words):
    with pytest.raises(ImageUndecodable, match=f"This is {words}.*JPEG or PNG"):
        prepare(content, POLICY)


def test_a_format_outside_the_policy_is_refused_by_name():
    for formats in (frozenset({"PNG"}), frozenset({"PNG", "MPO", "EPS"})):
        with pytest.raises(ImageUndecodable, match="a JPEG image, which is not accepted here"):
            prepare(one_of_each()["JPEG"], Policy(formats=formats))


def test_quality_steps_down_then_size_until_it_fits():
    content = encoded(textured(800, 600), "PNG")
    sizes = [500_000, 60_000, 40_000, 20_000, 5_000]
    made = [prepare(content, Policy(max_bytes=most)) for most in sizes]
    assert all(len(one.content) <= most for one, most in zip(made, sizes, strict=True))
    assert [one.quality for one in made] == sorted((one.quality for one in made), reverse=True)
    assert made[0].quality == 85
    assert made[-1].quality == 50
    assert made[-1].width < 800
    assert "shrunk" in made[-1].actions
    with pytest.raises(ImageTooLarge, match="made to fit the 300 bytes"):
        prepare(content, Policy(max_bytes=300))


def test_the_report_says_what_came_what_goes_and_what_was_done():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(textured(2000, 1000), "JPEG", exif=exif)
    prepared = prepare(content, POLICY)
    assert json.loads(json.dumps(prepared.report(counting("gpt-4o")))) == {
        "original": {"width": 1000, "height": 2000, "format": "JPEG", "bytes": len(content), "tokens": 1105},
        "sent": {
            "width": 500,
            "height": 1000,
            "bytes": len(prepared.content),
            "media_type": "image/jpeg",
            "quality": 85,
            "tokens": 425,
        },
        "tokens_counted_as": "openai-tiles",
        "scale": 0.5,
        "actions": ["rotated", "shrunk"],
    }
    assert prepared.data_url().startswith("data:image/jpeg;base64,/9j/")


@pytest.mark.parametrize(
    ("model", "original", "sent"),
    [
        ("gpt-4o", (1800, 1350), (1024, 768)),
        ("gpt-4o", (2305, 1729), (1153, 865)),  # half, which JPEG decoders round up
        ("gpt-4.1-mini", (3000, 2250), (750, 563)),  # a quarter
        ("gpt-4.1-mini", (1500, 700), (750, 350)),
    ],
)
def test_a_size_chosen_for_a_model_is_what_comes_out(model, original, sent):
    policy = Policy(sizing=Sizing(counting(model).rule))
    prepared = prepare(encoded(textured(*original), "JPEG", quality=90), policy)
    assert (prepared.width, prepared.height) == opened(prepared).size == sent
    assert difference(opened(prepared), textured(*original).resize(sent, Image.Resampling.LANCZOS)) < 6

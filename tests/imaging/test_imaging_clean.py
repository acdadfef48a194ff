"""What is sent holds the pixels and nothing else, and the pixels look as they did."""

import struct
from io import BytesIO

import pytest
from hostile import encoded, textured
from PIL import Image, ImageChops, ImageCms
from PIL.PngImagePlugin import PngInfo

from worker.imaging import Policy, prepare
from worker.resampling import resampled

POLICY = Policy()
SECRET = b"SECRET-52.5200N"


def opened(prepared):
    return Image.open(BytesIO(prepared.content)).convert("RGB")


def segments(jpeg):
    """Marker codes up to the scan, and what stands after the end of the picture."""
    markers, at = [], 2
    while jpeg[at + 1] != 0xDA:
        markers.append(jpeg[at + 1])
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    return markers, jpeg[jpeg.rindex(b"\xff\xd9") + 2 :]


def _private_exif():
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()  # description
    exif.get_ifd(0x8825)[29] = SECRET.decode()  # GPS
    return exif


def _private_files():
    picture, exif = textured(120, 90), _private_exif()
    xmp = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    text = PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("Author", SECRET.decode())
    thumbnail = encoded(picture.resize((16, 12)), "JPEG")
    yield encoded(picture, "JPEG", exif=exif, comment=SECRET, xmp=xmp, icc_profile=SECRET * 20)
    yield encoded(picture, "JPEG", exif=exif.tobytes() + thumbnail) + SECRET + b"PK\3\4"
    yield encoded(picture, "PNG", exif=exif, pnginfo=text, icc_profile=SECRET * 20) + SECRET
    yield encoded(picture, "WEBP", exif=exif, xmp=xmp, icc_profile=SECRET * 20)
    yield encoded(picture, "AVIF", exif=exif, xmp=xmp, speed=10)
    yield encoded(picture, "TIFF", exif=exif)
    yield encoded(picture, "GIF", comment=SECRET)


@pytest.mark.parametrize("content", list(_private_files()), ids=lambda content: content[:12].hex())
@pytest.mark.parametrize("side", [1024, 60])
def test_nothing_but_the_picture_is_sent(content, side):
    assert SECRET in content or b"iCCP" in content
    sent = prepare(content, Policy(best_side=side)).content
    markers, rest = segments(sent)
    assert set(markers) == {0xE0, 0xDB, 0xC0, 0xC4}  # JFIF, tables, size, tables: no APP1, APP2, comment
    assert rest == b""
    assert SECRET not in sent
    assert sent.count(b"\xff\xd8\xff") == 1


# Colours. Colorants are D50-adapted, as in the published profiles; the expected values come from the
# matrices alone (inverse of sRGB's, Bradford D50: brucelindbloom.com), not from the code under test.
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
TO_SRGB = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
GAMMA = 2.2


def matrix_profile(colorants, name, space=b"RGB "):
    """An ICC version 2 profile with these primaries and a plain gamma (ICC.1:2001-04)."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(8 + 3 + 67)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {
            letter + b"XYZ": xyz(values) for letter, values in zip((b"r", b"g", b"b"), colorants, strict=True)
        }
        tags |= {letter + b"TRC": curve for letter in (b"r", b"g", b"b")}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = struct.pack(">I", start + len(body))
    white = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    header = size + bytes(4) + b"\2\x10\0\0mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28) + white
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + body


def in_srgb(colour, colorants):
    linear = [(value / 255) ** GAMMA for value in colour]
    xyz = [sum(linear[i] * colorants[i][axis] for i in range(3)) for axis in range(3)]
    out = []
    for row in TO_SRGB:
        value = min(1.0, max(0.0, sum(a * b for a, b in zip(row, xyz, strict=True))))
        out.append(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))
    return out


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("colorants", [DISPLAY_P3, ADOBE_RGB], ids=["display-p3", "adobe-rgb"])
@pytest.mark.parametrize("colour", [(200, 80, 60), (60, 160, 90), (128, 128, 128), (255, 255, 255)])
def test_a_wide_gamut_becomes_srgb(name, colorants, colour):
    profile = matrix_profile(colorants, "wide")
    content = encoded(Image.new("RGB", (64, 64), colour), name, icc_profile=profile, quality=95)
    prepared = prepare(content, POLICY)
    assert prepared.actions == ("converted:icc",)
    got = opened(prepared).getpixel((30, 30))
    assert max(abs(a - b) for a, b in zip(got, in_srgb(colour, colorants), strict=True)) <= 4


def test_transparent_grey_and_palette_pictures_go_through_their_profile_too():
    wide = matrix_profile(DISPLAY_P3, "wide")
    grey = matrix_profile(DISPLAY_P3, "grey", b"GRAY")
    made = {
        "RGBA": prepare(
            encoded(Image.new("RGBA", (64, 64), (200, 80, 60, 128)), "PNG", icc_profile=wide), POLICY
        ),
        "P": prepare(
            encoded(Image.new("RGB", (64, 64), (200, 80, 60)).quantize(4), "PNG", icc_profile=wide), POLICY
        ),
        "L": prepare(encoded(Image.new("L", (64, 64), 90), "PNG", icc_profile=grey), POLICY),
        "L in RGB": prepare(encoded(Image.new("L", (64, 64), 90), "PNG", icc_profile=wide), POLICY),
    }
    assert {layout: one.actions for layout, one in made.items()} == {
        "RGBA": ("flattened", "converted:icc"),
        "P": ("converted:icc",),
        "L": ("converted:icc",),
        "L in RGB": ("converted:icc",),
    }
    assert opened(made["P"]).getpixel((9, 9)) == pytest.approx(in_srgb((200, 80, 60), DISPLAY_P3), abs=4)
    assert opened(made["L"]).getpixel((9, 9)) == pytest.approx((89, 89, 89), abs=4)


def test_srgb_is_left_alone_and_a_broken_or_foreign_profile_ignored():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    good = matrix_profile(DISPLAY_P3, "wide")
    grey = matrix_profile(DISPLAY_P3, "grey", b"GRAY")
    for profile in (srgb, b"junk" * 50, good[:200], good[:132] + bytes(len(good) - 132), grey):
        content = encoded(Image.new("RGB", (64, 64), (200, 80, 60)), "PNG", icc_profile=profile)
        prepared = prepare(content, POLICY)
        assert prepared.actions == ()
        assert opened(prepared).getpixel((9, 9)) == pytest.approx((200, 80, 60), abs=3)


CMYK_COLOURS = [
    ((0, 255, 255, 0), (255, 0, 0)),
    ((255, 0, 255, 0), (0, 255, 0)),
    ((0, 0, 0, 0), (255, 255, 255)),
    ((0, 0, 0, 255), (0, 0, 0)),
    ((0, 0, 0, 128), (127, 127, 127)),
]


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
@pytest.mark.parametrize(("ink", "colour"), CMYK_COLOURS)
def test_print_colours_are_not_inverted(name, ink, colour):
    prepared = prepare(encoded(Image.new("CMYK", (64, 64), ink), name), POLICY)
    assert prepared.actions == ("converted:CMYK",)
    assert opened(prepared).getpixel((30, 30)) == pytest.approx(colour, abs=4)


def test_adobe_ycck_is_read():
    # Red: YCC of the inverted inks, and no black; the transform byte of the Adobe segment says YCCK.
    stored = encoded(Image.new("CMYK", (64, 64), (76, 84, 254, 0)), "JPEG", quality=95)
    flag = stored.index(b"Adobe") + 11
    content = stored[:flag] + b"\2" + stored[flag + 1 :]
    assert opened(prepare(content, POLICY)).getpixel((30, 30)) == pytest.approx((255, 0, 0), abs=6)


# Transparency.
def _cut_out(hidden):
    """A red disc, hard-edged, in fully transparent pixels that hold `hidden`."""
    mask = Image.new("L", (600, 600), 0)
    mask.paste(255, (101, 101, 497, 497))
    picture = Image.new("RGB", (600, 600), hidden)
    picture.paste((255, 0, 0), mask=mask)
    picture.putalpha(mask)
    return picture


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (0, 255, 0)])
@pytest.mark.parametrize("side", [600, 250, 90])
def test_what_transparency_hides_makes_no_fringe(name, hidden, side):
    lossless = {"lossless": True, "exact": True}
    prepared = prepare(encoded(_cut_out(hidden), name, **lossless), Policy(best_side=side))
    assert prepared.actions[0] == "flattened"
    assert (
        prepared.content
        == prepare(encoded(_cut_out((255, 255, 255)), name, **lossless), Policy(best_side=side)).content
    )
    flat = Image.new("RGB", (600, 600), "white")
    flat.paste(_cut_out(hidden), mask=_cut_out(hidden).getchannel("A"))
    small = resampled(flat, (prepared.width, prepared.height))
    shown = Image.open(BytesIO(encoded(small, "JPEG", quality=85, subsampling=0)))
    worst = ImageChops.difference(opened(prepared), shown).getextrema()
    assert max(high for _, high in worst) <= 12  # rounding, and what JPEG makes of it


def test_every_kind_of_transparency_becomes_white():
    keyed = Image.new("RGB", (64, 64), (1, 2, 3))
    grey = Image.new("LA", (64, 64), (0, 0))
    files = {
        "palette": encoded(Image.new("P", (64, 64), 0), "PNG", transparency=0),
        "gif": encoded(Image.new("P", (64, 64), 0), "GIF", transparency=0),
        "colour key": encoded(keyed, "PNG", transparency=(1, 2, 3)),
        "grey key": encoded(Image.new("L", (64, 64), 7), "PNG", transparency=7),
        "one bit key": encoded(Image.new("1", (64, 64), 0), "PNG", transparency=0),
        "grey": encoded(grey, "PNG"),
    }
    for kind, content in files.items():
        prepared = prepare(content, Policy(best_side=40))
        assert "flattened" in prepared.actions, kind
        assert opened(prepared).getpixel((2, 2)) == pytest.approx((255, 255, 255), abs=3), kind


def test_half_transparent_is_half_white_and_opaque_is_not_called_flattened():
    half = prepare(encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "PNG"), POLICY)
    full = prepare(encoded(Image.new("RGBA", (64, 64), (9, 99, 199, 255)), "PNG"), POLICY)
    assert opened(half).getpixel((9, 9)) == pytest.approx((127, 127, 127), abs=3)
    assert opened(full).getpixel((9, 9)) == pytest.approx((9, 99, 199), abs=4)
    assert full.actions == ()

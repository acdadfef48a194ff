"""Pictures that lie, overflow or break off: small to make, and what a decoder should survive."""

import random
import struct
import zlib
from functools import cache
from io import BytesIO

from PIL import Image, ImageCms


def encoded(image, name, **options):
    sink = BytesIO()
    image.save(sink, name, **options)
    return sink.getvalue()


def textured(width, height, seed=1):
    """An RGB picture with structure at every scale, the same for the same seed."""
    rng = random.Random(seed)
    coarse = Image.new("RGB", (8, 8))
    coarse.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(64)])
    grain = Image.frombytes("L", (64, 64), rng.randbytes(4096)).resize((width, height))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return Image.blend(smooth, Image.merge("RGB", [grain] * 3), 0.2)


@cache
def one_of_each():
    """Format → a small valid picture in it."""
    picture = textured(96, 64)
    return {
        "AVIF": encoded(picture, "AVIF", speed=10),
        "BMP": encoded(picture, "BMP"),
        "GIF": encoded(picture.quantize(256), "GIF"),
        "JPEG": encoded(picture, "JPEG"),
        "PNG": encoded(picture, "PNG"),
        "TIFF": encoded(picture, "TIFF"),
        "WEBP": encoded(picture, "WEBP"),
    }


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width, height, depth=1, colour=0, rows=None):
    """A PNG of zeros. colour: 0 grey, 2 RGB, 6 RGBA. rows: how many are really there (None: all)."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = bytes(1 + (width * depth * channels + 7) // 8)
    squeeze = zlib.compressobj(9)
    data = b"".join(squeeze.compress(row) for _ in range(height if rows is None else rows))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", data + squeeze.flush())
        + _chunk(b"IEND", b"")
    )


def webps_claiming(width, height):
    """The three kinds of WebP, each declaring that size in its first chunk."""
    lossy = bytearray(encoded(textured(32, 32), "WEBP"))
    lossless = bytearray(encoded(textured(32, 32), "WEBP", lossless=True))
    extended = bytearray(encoded(textured(32, 32), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"))
    assert (lossy[12:16], lossless[12:16], extended[12:16]) == (b"VP8 ", b"VP8L", b"VP8X")
    lossy[26:30] = struct.pack("<HH", width, height)
    lossless[21:25] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    extended[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return [bytes(lossy), bytes(lossless), bytes(extended)]


def avif_claiming(width, height):
    small = bytearray(encoded(textured(64, 64), "AVIF", speed=10))
    at = small.index(b"ispe") + 8
    small[at : at + 8] = struct.pack(">II", width, height)
    return bytes(small)


def jpeg_claiming(width, height):
    small = bytearray(encoded(textured(64, 64), "JPEG"))
    at = small.index(b"\xff\xc0") + 5
    small[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(small)


def tiff_claiming(width, height, strip_bytes=0xFFFFFFF0):
    """A TIFF with one strip that is said to be huge, and is not there."""
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, strip_bytes),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def gif_of_frames(count, width=1500, height=1500):
    """A GIF whose one frame, control block included, is repeated `count` times."""
    one = encoded(Image.new("P", (width, height)), "GIF", transparency=0, disposal=2)
    colours = 3 * 2 ** ((one[10] & 7) + 1)
    start = 13 + colours
    return one[:start] + one[start:-1] * count + b";"


def damaged(seed):
    """A picture of some format, cut, flipped, overwritten or spliced; the same for the same seed."""
    rng = random.Random(seed)
    pictures = list(one_of_each().values())
    content = bytearray(rng.choice(pictures))
    kind = seed % 5
    if kind == 0:
        del content[rng.randrange(len(content)) :]
    elif kind == 1:
        for _ in range(rng.randint(1, 30)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == 2:  # the header, where sizes and counts are
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(4, min(200, len(content)))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    elif kind == 3:
        at, other = rng.randrange(len(content)), rng.choice(pictures)
        content[at:] = other[min(at, len(other) - 1) :]
    else:
        at = rng.randrange(len(content))
        content[at : at + rng.randint(1, 64)] = rng.randbytes(rng.randint(0, 64))
    return bytes(content)


SECRET = b"SECRET-52.5200N"
"""Stands where a camera writes the place; must never be sent on."""


def _with_place(orientation):
    """A JPEG with GPS, a description, a profile and a thumbnail, turned by EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(textured(90, 60), "JPEG", exif=exif, icc_profile=profile, comment=SECRET)


def _keyed():
    """A palette PNG with several shades of transparency."""
    return encoded(textured(64, 64).quantize(16), "PNG", transparency=bytes(range(0, 256, 16)))


@cache
def _odd():
    """What is valid and unusual: each a name and its bytes."""
    picture = textured(96, 64)
    deep = Image.frombytes("I;16", (64, 64), bytes(range(256)) * 32)
    jpeg, png, gif = (one_of_each()[name] for name in ("JPEG", "PNG", "GIF"))
    return [
        ("cmyk jpeg", encoded(picture.convert("CMYK"), "JPEG")),
        ("cmyk tiff", encoded(picture.convert("CMYK"), "TIFF")),
        ("16 bit png", encoded(deep, "PNG")),
        ("16 bit tiff", encoded(deep, "TIFF")),
        ("palette and transparency", _keyed()),
        ("gif and transparency", encoded(picture.quantize(16), "GIF", transparency=3)),
        ("progressive jpeg", encoded(picture, "JPEG", progressive=True)),
        ("animated gif", gif_of_frames(30, 60, 60)),
        *((f"exif {turn} with gps and icc", _with_place(turn)) for turn in range(1, 9)),
        ("jpeg and zip", jpeg + SECRET + b"PK\3\4" + SECRET * 9),
        ("png and html", png + b"<html><script>" + SECRET + b"</script></html>"),
        ("gif and script", gif + b"/*" + SECRET + b"*/=1;"),
        ("pdf in a jpeg", jpeg[:2] + b"\xff\xfe\0\x12%PDF-1.7\n" + SECRET[:7] + jpeg[2:]),
        ("jpeg behind a pdf", b"%PDF-1.7\n" + jpeg),
        ("jpeg called png", png[:8] + jpeg),
    ]


def gif_claiming(width, height):
    small = bytearray(one_of_each()["GIF"])
    small[6:10] = struct.pack("<HH", width, height)
    at = small.index(b",", 13 + 3 * 2 ** ((small[10] & 7) + 1))
    small[at + 5 : at + 9] = struct.pack("<HH", width, height)
    return bytes(small)


def _claiming(rng):
    """A small file that says it is large, or small, or nothing."""
    sides = [rng.choice((0, 1, 7, 4000, 9000, 16383, 60000)) for _ in range(2)]
    kinds = {
        "png": lambda: png_claiming(*sides, rows=min(sides[1], 40)),
        "jpeg": lambda: jpeg_claiming(*sides),
        "webp": lambda: rng.choice(webps_claiming(*(min(max(side, 1), 16383) for side in sides))),
        "avif": lambda: avif_claiming(*sides),
        "gif": lambda: gif_claiming(*sides),
        "tiff": lambda: tiff_claiming(*sides),
    }
    kind = rng.choice(sorted(kinds))
    return f"{kind} that claims {sides[0]} by {sides[1]}", kinds[kind]()


def menagerie(count):
    """So many hostile files, each a name and its bytes: the same ones every time."""
    for seed in range(count):
        rng = random.Random(seed)
        if seed % 4 == 0:
            yield _claiming(rng)
        elif seed % 4 == 1:
            yield _odd()[seed // 4 % len(_odd())]
        elif seed % 4 == 2:
            name, content = rng.choice(_odd())
            cut = bytearray(content[: rng.randrange(len(content) // 2, len(content))])
            cut[rng.randrange(len(cut))] ^= 1 << rng.randrange(8)
            yield f"{name}, damaged", bytes(cut)
        else:
            yield "damaged", damaged(seed)

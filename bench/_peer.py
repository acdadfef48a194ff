"""What another library takes to prepare pictures: run by bench/peers.py, in an interpreter that has it.

python bench/_peer.py LIBRARY ROUNDS SIDE FILE...   prints the median CPU ms of each file, as JSON
python bench/_peer.py ssim ORIGINAL MADE            prints the SSIM of their luma, after LANCZOS
"""

# mypy: ignore-errors
import io
import json
import sys
import time
from pathlib import Path
from statistics import median

QUALITY = 85


def pillow(content, side):
    from PIL import Image

    image = Image.open(io.BytesIO(content)).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(sink := io.BytesIO(), "JPEG", quality=QUALITY, subsampling=0)
    return sink.getvalue()


def vips(content, side):
    import pyvips

    image = pyvips.Image.thumbnail_buffer(content, side, height=side, size="down")
    if image.hasalpha():
        image = image.flatten(background=[255, 255, 255])
    return image.jpegsave_buffer(Q=QUALITY, subsample_mode="off", keep="none")


def opencv(content, side):
    import cv2
    import numpy

    cv2.setNumThreads(1)
    encoded = numpy.frombuffer(content, numpy.uint8)
    scale = cv2.IMREAD_COLOR
    if content.startswith(b"\xff\xd8"):
        from PIL import Image

        longest = max(Image.open(io.BytesIO(content)).size)
        for divisor in (2, 4, 8):
            scale = getattr(cv2, f"IMREAD_REDUCED_COLOR_{divisor}") if longest // divisor >= side else scale
    image = cv2.imdecode(encoded, scale)
    image = _resized(cv2, image, side)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def turbojpeg(content, side):
    import cv2
    import simplejpeg

    cv2.setNumThreads(1)
    height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    # Of the eighths, those that libjpeg-turbo has fast code for.
    fits = [scale for scale in (8, 4, 2, 1) if max(width, height) * scale / 8 >= side]
    scale = min(fits, default=8)
    least = {"min_height": -(-height * scale // 8), "min_width": -(-width * scale // 8)}
    image = _resized(cv2, simplejpeg.decode_jpeg(content, **least), side)
    return simplejpeg.encode_jpeg(image, quality=QUALITY, colorsubsampling="444", fastdct=False)


def _resized(cv2, image, side):
    height, width = image.shape[:2]
    scale = side / max(width, height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def ssim(original, made):
    """Wang et al. 2004, luma, a Gaussian of 11 px; the original on white, by LANCZOS at the made size."""
    import cv2
    import numpy
    from PIL import Image

    two = Image.open(made).convert("L")
    source = Image.open(original).convert("RGBA").resize(two.size, Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", source.size, "white")
    one = Image.alpha_composite(ground, source).convert("L")
    a, b = (numpy.asarray(image, dtype=numpy.float64) for image in (one, two))

    def blur(values):
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    c1, c2 = 6.5025, 58.5225
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def cost(work, content, side, rounds):
    taken = []
    for _ in range(rounds + 1):
        started = time.process_time()
        work(content, side)
        taken.append(1000 * (time.process_time() - started))
    return median(taken[1:])


def main(library, *arguments):
    if library == "ssim":
        print(ssim(*arguments))
        return
    rounds, side, *files = arguments
    work = {"pillow": pillow, "vips": vips, "opencv": opencv, "turbojpeg": turbojpeg}[library]
    found = {}
    for file in files:
        if library != "turbojpeg" or file.endswith("JPEG"):
            found[file] = cost(work, Path(file).read_bytes(), int(side), int(rounds))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How an image was taken: sharpness, noise, brightness, contrast, likely text.

All functions take a greyscale ("L") image, and speak of the picture as it looks at its size. The pixel
analyst measures at 256 pixels, as `text_likelihood` must; sharpness and noise tell more at 1024.
"""

import math

from PIL import Image, ImageChops, ImageFilter, ImageStat

LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
NOISE_MASK = ImageFilter.Kernel((3, 3), (1, -2, 1, -2, 4, -2, 1, -2, 1), scale=1, offset=128)
BLUR_RADIUS = 4  # a box of nine pixels, as in Crete et al.

CELL = 8  # pixels; about the height of the smallest letters that survive at 256
STROKE_STEP = 28  # grey levels between a stroke and its ground
STROKE_SHARE = (0.14, 0.72)  # part of a cell's pixels that lie on edges, if it holds letters
CELLS_OF_TEXT = 18  # so many make text likely: two or three short lines
LINE_CELLS = 3  # cells side by side that make a line of text


def laplacian_variance(grey: Image.Image) -> float:
    """Give the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000), in grey levels squared."""
    return ImageStat.Stat(grey.filter(LAPLACIAN)).var[0]


def sharpness(grey: Image.Image) -> float:
    """Give sharpness from 0 (blurred) to 1: one minus the blur effect.

    The blur effect compares an image with a blurred copy of itself, so unlike the Laplacian it
    does not depend on how much there is to see (Crete, Dolmiere, Ladret & Nicolas, SPIE 2007).
    """
    return min(_kept_variation(grey, (1, 0)), _kept_variation(grey, (0, 1)))


def _kept_variation(grey: Image.Image, step: tuple[int, int]) -> float:
    """Give the part of the variation in one direction that a further blur would destroy, 0..1."""
    radius = (BLUR_RADIUS * step[0], BLUR_RADIUS * step[1])
    before = _differences(grey, step)
    after = _differences(grey.filter(ImageFilter.BoxBlur(radius)), step)
    whole = ImageStat.Stat(before).sum[0]
    return ImageStat.Stat(ImageChops.subtract(before, after)).sum[0] / whole if whole else 0.0


def _differences(grey: Image.Image, step: tuple[int, int]) -> Image.Image:
    """Give |f(p) - f(p - step)| without the wrapped-around first row or column."""
    shifted = ImageChops.offset(grey, *step)
    return ImageChops.difference(grey, shifted).crop((*step, *grey.size))


def noise(grey: Image.Image) -> float:
    """Estimate the standard deviation of the noise, in grey levels.

    Immerkær's mask (CVIU 1996) answers noise of deviation s with 6 s and ignores edges and ramps;
    the median, scaled for a normal distribution, also keeps texture out.
    """
    histogram = grey.filter(NOISE_MASK).histogram()
    magnitudes = [histogram[128]] + [histogram[128 + i] + histogram[128 - i] for i in range(1, 128)]
    return _median(magnitudes) / (6 * 0.6745)


def _median(histogram: list[int]) -> float:
    """Give the median of a histogram, interpolated inside its bin."""
    half, seen = sum(histogram) / 2, 0
    for value, count in enumerate(histogram):
        if seen + count >= half and count:
            return max(0.0, value - 0.5 + (half - seen) / count)
        seen += count
    return 0.0


def brightness(grey: Image.Image) -> float:
    """Give the mean grey level, 0 (black) to 1 (white)."""
    return ImageStat.Stat(grey).mean[0] / 255


def contrast(grey: Image.Image) -> float:
    """Give the RMS contrast (Peli, JOSA A 1990) as a part of the largest possible, 0..1."""
    return min(1.0, ImageStat.Stat(grey).stddev[0] / 127.5)


def text_likelihood(grey: Image.Image) -> float:
    """Say how likely the image shows text, 0..1, from cells of dense strokes that form lines.

    Letters leave many strong steps in both directions within a few pixels, cell beside cell, in
    bands that end above and below. It cannot read, and takes some patterns for text.
    """
    rows = _stroke_cells(grey)
    cells = sum(_line_cells(row) for row in rows)
    return 1 - math.exp(-cells / CELLS_OF_TEXT)


def _stroke_cells(grey: Image.Image) -> list[list[bool]]:
    """Say of each 8x8 cell whether it is as full of strokes as letters make it, upright and level."""
    width, height = max(1, grey.width // CELL), max(1, grey.height // CELL)
    smooth = grey.filter(ImageFilter.MedianFilter(3)) if noise(grey) > 4 else grey
    upright = _step_share(smooth, (1, 0), (width, height))
    level = _step_share(smooth, (0, 1), (width, height))
    lowest, highest = (round(255 * share) for share in STROKE_SHARE)
    flags = [lowest <= a <= highest and lowest / 2 <= b for a, b in zip(upright, level, strict=True)]
    return [flags[start : start + width] for start in range(0, len(flags), width)]


def _step_share(grey: Image.Image, step: tuple[int, int], cells: tuple[int, int]) -> bytes:
    """Give each cell's share of pixels on a strong step, 0..255."""
    edges = _differences(grey, step).point([255 if value > STROKE_STEP else 0 for value in range(256)])
    return edges.resize(cells, Image.Resampling.BOX).tobytes()


def _line_cells(row: list[bool]) -> int:
    """Count the cells of a row that stand in runs long enough to be a line."""
    total = run = 0
    for flag in [*row, False]:
        if flag:
            run += 1
            continue
        total += run if run >= LINE_CELLS else 0
        run = 0
    return total

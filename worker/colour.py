"""Pixels in a form that can be averaged, flattened and shown: modes, transparency, colour profiles."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, ImageCms, ImageFile

from worker.resampling import premultiplied

_SRGB = ImageCms.createProfile("sRGB")
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # ICC.1:2022, 7.2.8


def in_smooth_mode(image: Image.Image, actions: list[str]) -> Image.Image:
    """The image in a mode whose pixels can be averaged: L, La, RGB, RGBa, CMYK, YCbCr or LAB.

    La and RGBa are premultiplied, so that what transparency hides leaves no fringe; what is opaque throughout
    comes as L or RGB.
    """
    if image.mode in {"CMYK", "YCbCr", "LAB"}:
        actions.append(f"converted:{image.mode}")
        return image
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        actions.append(f"converted:{image.mode}")
        return _narrowed(image)
    if _has_transparency(image):
        return _premultiplied(image)
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def _premultiplied(image: Image.Image) -> Image.Image:
    if image.mode in {"La", "RGBa"}:
        return image
    image = image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("L" if image.mode == "LA" else "RGB")
    return image.convert("La") if image.mode == "LA" else premultiplied(image)


def narrowed_on_the_way(source: ImageFile.ImageFile) -> str | None:
    """The layout of an image, not loaded yet, whose channels of 16 bits its decoder makes 8-bit."""
    layout: Any = source.tile[0].args if source.tile else None
    layout = layout[0] if isinstance(layout, tuple) and layout else layout
    if not isinstance(layout, str) or ";16" not in layout or source.mode.startswith("I"):
        return None
    return f"{layout.partition(';')[0]};16"


def _has_transparency(image: Image.Image) -> bool:
    key = image.info.get("transparency")
    if max(key if isinstance(key, tuple) else (0,)) > 255:
        del image.info["transparency"]  # of a 16-bit PNG, whose pixels Pillow has made 8-bit
    return image.has_transparency_data


def _narrowed(image: Image.Image) -> Image.Image:
    """One channel of 16 or 32 bits, or of floats, as 8 bits.

    Known ranges (16 bits, 0 to 1, 0 to 255) are kept; all else is stretched from its least to its greatest.
    """
    sixteen_bits = image.mode.startswith("I;16")
    wide = image.convert("F")
    low, high = (0.0, 65535.0) if sixteen_bits else _range(wide)
    scale = 255 / (high - low)
    grey = wide.point(lambda value: value * scale - low * scale + 0.5).convert("L")
    grey.info = {"icc_profile": image.info.get("icc_profile")}
    return grey


def _range(image: Image.Image) -> tuple[float, float]:
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]  # one channel
    for top in (1.0, 255.0, 65535.0):
        if low >= 0 and high <= top:
            return 0.0, top
    return (low, high) if low < high else (0.0, 1.0)


def flattened(image: Image.Image, actions: list[str]) -> Image.Image:
    """The image over white, as a shop page would show it."""
    if image.mode not in {"La", "RGBa"}:
        return image
    actions.append("flattened")
    *channels, alpha = image.split()
    paper = ImageChops.invert(alpha)  # what shines through
    flat = Image.merge(image.mode[:-1], [ImageChops.add(channel, paper) for channel in channels])
    flat.info = image.info
    return flat


def in_srgb(image: Image.Image, actions: list[str]) -> Image.Image:
    """The image as sRGB or grey, by its embedded profile where there is a usable one."""
    try:
        converted = _by_profile(image)
    except Exception:  # noqa: BLE001 - a broken profile is no reason to refuse the picture
        converted = None
    if converted:
        actions.append("converted:icc")
        return converted
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def is_in_srgb(image: Image.Image) -> bool:
    """Whether an image has no colour profile, or one that says that it is sRGB."""
    embedded = image.info.get("icc_profile")
    try:
        return not embedded or _is_srgb(ImageCms.ImageCmsProfile(BytesIO(embedded)))
    except Exception:  # noqa: BLE001 - a broken profile raises as many kinds as the decoders do
        return False


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "sRGB" in (profile.profile.profile_description or "")


def _by_profile(image: Image.Image) -> Image.Image | None:
    """The image through its ICC profile; None when it has none, is sRGB already, or they do not match."""
    embedded = image.info.get("icc_profile")
    if not embedded:
        return None
    profile = ImageCms.ImageCmsProfile(BytesIO(embedded))
    mode = _MODE_OF_SPACE.get(profile.profile.xcolor_space.strip())
    if _is_srgb(profile):
        return None
    if mode == "RGB" and image.mode in {"L", "YCbCr"}:
        image = image.convert("RGB")
    if mode != image.mode:
        return None
    transform = ImageCms.buildTransform(
        profile,
        _SRGB,
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return transform.apply(image)

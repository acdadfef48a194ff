"""What was measured, in every form a JSON Schema may ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from local.analyst.measure import LOW_CONTRAST_BELOW, Measurement
from local.analyst.palette import ColorShare
from local.analyst.phrases import Language
from local.analyst.wording import caveat, description


@dataclass(frozen=True)
class Finding:
    """One measured thing. A form that makes no sense for it stays empty.

    `text` fills strings; `score` (0..1) fills numbers and is scaled to their range; `number` fills
    them as it stands; `flag` fills booleans; `labels` are tried against enums in order; `items`
    fill arrays; `parts` are the properties of objects.
    """

    text: str | None = None
    number: float | None = None
    score: float | None = None
    flag: bool | None = None
    labels: tuple[str, ...] = ()
    items: tuple["Finding", ...] = ()
    parts: Mapping[str, "Finding"] = field(default_factory=dict)


def findings(measured: Sequence[Measurement], answer: str, language: Language) -> dict[str, Finding]:
    """Give all findings by their key in `vocabulary`; scalars speak of the first image."""
    shared = {
        "answer": Finding(text=answer),
        "caveat": Finding(text=caveat(language), items=(Finding(text=caveat(language)),)),
        "image count": _number(len(measured)),
    }
    if not measured:
        return shared
    each = [_of_image(measurement, language) for measurement in measured]
    whole = "\n".join(description(measurement, language) for measurement in measured)
    images = Finding(items=tuple(Finding(parts=facts) for facts in each))
    return each[0] | shared | {"images": images, "description": Finding(text=whole)}


def as_json(measured: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Give plain JSON of all measurements, one object per image."""
    return [_as_json(measurement) for measurement in measured]


def _as_json(measurement: Measurement) -> dict[str, Any]:
    plain = asdict(measurement)
    plain["background"]["color"] = measurement.background.color.en
    for key in ("colors", "subject_colors"):
        plain[key] = [
            {"name": share.color.en, "hex": share.hex, "share": share.share}
            for share in getattr(measurement, key)
        ]
    words = {
        "aspect": measurement.aspect,
        "orientation": measurement.orientation,
        "quality": measurement.quality,
    }
    rounded: dict[str, Any] = _rounded(plain | words)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _of_image(measurement: Measurement, language: Language) -> dict[str, Finding]:
    return {
        **_colors(measurement),
        **_background(measurement),
        **_frame(measurement),
        **_taking(measurement),
        "description": Finding(text=description(measurement, language)),
        "tags": Finding(items=tuple(Finding(text=tag, labels=(tag,)) for tag in _tags(measurement))),
    }


def _number(value: float) -> Finding:
    return Finding(number=value, text=f"{value:g}")


def _score(value: float, *labels: str, flag: bool | None = None) -> Finding:
    value = round(min(1.0, max(0.0, value)), 3)
    return Finding(score=value, text=labels[0] if labels else f"{value:g}", labels=labels, flag=flag)


def _color(share: ColorShare) -> Finding:
    name = share.color.en
    return Finding(
        text=name,
        # "dark green" also answers an enum that only knows "green".
        labels=(
            name,
            name.replace("grey", "gray"),
            name.split()[-1],
            name.split()[-1].replace("grey", "gray"),
        ),
        parts={
            "name": Finding(text=name, labels=(name,)),
            "hex": Finding(text=share.hex),
            "share": _score(share.share),
        },
    )


def _colors(measurement: Measurement) -> dict[str, Finding]:
    shares = measurement.subject_colors
    colors = tuple(_color(share) for share in shares)
    first = colors[0]
    labels = tuple(label for color in colors for label in color.labels)
    facts = {
        "colors": Finding(text=first.text, labels=labels, items=colors, parts=first.parts),
        "hex": Finding(text=shares[0].hex, items=tuple(Finding(text=share.hex) for share in shares)),
    }
    return facts | ({"second color": colors[1]} if len(colors) > 1 else {})


def _background(measurement: Measurement) -> dict[str, Finding]:
    ground = measurement.background
    name = ground.color.en
    color = _color(ColorShare(ground.color, ground.hex, ground.uniformity))
    plain = ground.kind == "plain"
    kinds = {
        "plain": (f"plain {name}", name, "plain", "solid", "simple", "clean", "uniform", "studio"),
        "gradient": (f"gradient around {name}", "gradient", "smooth", "studio"),
        "busy": ("busy", "complex", "cluttered", "scene", "lifestyle", "textured", "patterned"),
    }[ground.kind]
    uniformity = _score(ground.uniformity)
    parts = {
        "kind": Finding(text=ground.kind, labels=kinds),
        "colors": color,
        "hex": Finding(text=ground.hex),
    }
    return {
        "background": Finding(text=kinds[0], labels=kinds, parts={**parts, "uniformity": uniformity}),
        "background kind": Finding(text=ground.kind, labels=kinds),
        "background color": color,
        "background hex": Finding(text=ground.hex),
        "background uniformity": uniformity,
        "plain background": Finding(text="yes" if plain else "no", flag=plain),
        "white background": Finding(
            text="yes" if plain and name == "white" else "no", flag=plain and name == "white"
        ),
    }


def _frame(measurement: Measurement) -> dict[str, Finding]:
    width, height = _number(measurement.width), _number(measurement.height)
    box = measurement.subject
    facts = {
        "width": width,
        "height": height,
        "size": Finding(
            text=f"{measurement.width}x{measurement.height}", parts={"width": width, "height": height}
        ),
        "megapixels": _number(round(measurement.width * measurement.height / 1e6, 3)),
        "aspect": Finding(number=round(measurement.width / measurement.height, 3), text=measurement.aspect),
        "orientation": Finding(text=measurement.orientation, labels=(measurement.orientation,)),
        "format": Finding(text=measurement.format, labels=(measurement.format, "jpg")),
        "bytes": _number(measurement.bytes),
    }
    if box is None:
        return facts
    edges = {key: _number(getattr(box, key)) for key in ("x", "y", "width", "height")}
    values = tuple(edges.values())
    text = ", ".join(str(value.text) for value in values)
    subject = Finding(text=text, items=values, parts={**edges, "share": _score(box.share)})
    return facts | {"subject": subject, "subject share": _score(box.share)}


def _taking(measurement: Measurement) -> dict[str, Finding]:
    sharp, noisy, text = measurement.is_sharp, measurement.is_noisy, measurement.has_text
    low = measurement.contrast < LOW_CONTRAST_BELOW
    exposure = measurement.exposure
    light = {"dark": ("dark", "low"), "medium": ("medium", "normal", "good"), "bright": ("bright", "high")}
    blurred = ("blurred", "blurry", "soft", "poor", "low")
    return {
        "sharpness": _score(
            measurement.sharpness, *(("sharp", "good", "high") if sharp else blurred), flag=sharp
        ),
        "blur": _score(1 - measurement.sharpness, "none" if sharp else "blurred", flag=not sharp),
        "noise": Finding(
            number=round(measurement.noise, 2),
            text="noisy" if noisy else "clean",
            labels=("noisy", "high") if noisy else ("clean", "low", "none"),
            flag=noisy,
        ),
        "brightness": _score(measurement.brightness, *light[exposure]),
        "dark": Finding(flag=exposure == "dark", text="yes" if exposure == "dark" else "no"),
        "contrast": _score(
            measurement.contrast, *(("low",) if low else ("good", "medium", "normal", "high"))
        ),
        "text": _score(
            measurement.text_likelihood,
            *(("likely", "yes") if text else ("unlikely", "none", "no")),
            flag=text,
        ),
        "quality": _score(measurement.quality, *_quality_words(measurement.quality)),
        "confidence": _score(measurement.separation, *_confidence_words(measurement.separation)),
    }


def _quality_words(quality: float) -> tuple[str, ...]:
    if quality >= 0.85:
        return "good", "high", "excellent"
    return ("fair", "medium", "acceptable", "average", "ok") if quality >= 0.5 else ("poor", "low", "bad")


def _confidence_words(confidence: float) -> tuple[str, ...]:
    return ("high",) if confidence >= 0.8 else ("medium", "low")


def _tags(measurement: Measurement) -> list[str]:
    tags = [share.color.en for share in measurement.subject_colors[:3]]
    tags += [f"{measurement.background.kind} background", measurement.orientation]
    tags += ["sharp" if measurement.is_sharp else "blurred", measurement.exposure]
    tags += ["noisy"] if measurement.is_noisy else []
    return tags + (["text likely"] if measurement.has_text else [])

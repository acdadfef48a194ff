"""Which finding a property's name asks for.

A name is understood only if every word of it is: `shoelace_color` or `logo_width` ask for
something that is not measured, although colours and widths are.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from local.analyst.findings import Finding

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Words that add nothing: whose property it is, or in which form.
NEUTRAL = frozenset(
    {"image", "photo", "picture", "product", "item", "subject", "object"}
    | {"main", "dominant", "primary", "overall", "total", "estimated", "measured", "detected", "visible"}
    | {"is", "has", "have", "the", "a", "of", "in", "check", "present"}
    | {"level", "score", "value", "index", "rating", "name", "list", "pixel", "px"}
    | {"analysis", "result", "detail", "attribute", "property", "measurement"}
    | {"technical", "visual", "data", "metadata", "info"}
)

# The longest phrase that fits wins, so "background color" is not a "color".
PHRASES: dict[str, tuple[str, ...]] = {
    "colors": ("color", "palette"),
    "hex": ("hex", "color hex", "hex color", "color code", "hex code"),
    "second color": ("secondary color", "second color", "accent color"),
    "name": ("name",),
    "share": ("share", "percentage", "percent", "proportion", "ratio", "coverage", "weight"),
    "background": ("background", "backdrop"),
    "background kind": ("background type", "background kind", "background style"),
    "background color": ("background color",),
    "background hex": ("background hex", "background color hex"),
    "background uniformity": ("background uniformity",),
    "plain background": ("plain background", "clean background", "solid background", "uniform background"),
    "white background": ("white background", "background white", "plain white background"),
    "kind": ("kind", "type", "style"),
    "uniformity": ("uniformity", "uniform"),
    "width": ("width",),
    "height": ("height",),
    "x": ("x", "left"),
    "y": ("y", "top"),
    "size": ("size", "dimension", "resolution"),
    "megapixels": ("megapixel", "mp"),
    "aspect": ("aspect", "aspect ratio"),
    "orientation": ("orientation",),
    "format": ("format", "file format"),
    "bytes": ("byte", "file size", "size byte"),
    "subject": ("box", "bounding box", "bbox", "subject box", "region", "crop box"),
    "subject share": ("subject share", "subject coverage", "fill ratio", "frame share"),
    "sharpness": ("sharpness", "sharp", "focus", "clarity"),
    "blur": ("blur", "blurry", "blurred", "blurriness"),
    "noise": ("noise", "noisy", "grain", "noise level"),
    "brightness": ("brightness", "exposure", "lighting", "light"),
    "dark": ("dark", "too dark", "underexposed"),
    "contrast": ("contrast",),
    "text": ("text", "text overlay", "text likelihood", "text contain", "contain text", "watermark text"),
    "quality": ("quality",),
    "confidence": ("confidence", "certainty"),
    "tags": ("tag", "keyword", "label"),
    "description": ("description", "caption", "summary", "alt text", "describe", "alt"),
    "answer": ("answer", "response", "reply", "explanation", "reasoning"),
    "caveat": ("caveat", "limitation", "note", "warning", "remark"),
    "image count": ("image count", "photo count", "count image", "number image"),
    "images": ("image", "photo", "picture", "per image", "result"),
}
SYNONYMS = {"colour": "color", "colours": "color", "boxes": "box", "properties": "property"}

_BY_PHRASE = {frozenset(phrase.split()): key for key, phrases in PHRASES.items() for phrase in phrases}


def look_up(name: str, scope: Mapping[str, Finding]) -> Finding | None:
    """Find what a property's name asks for among the findings in scope."""
    words = _words(name)
    wanted = [key for phrase, key in _BY_PHRASE.items() if phrase <= words and words - phrase <= NEUTRAL]
    ranked = sorted(wanted, key=lambda key: (-_weight(key, words), key))
    return next((scope[key] for key in ranked if key in scope), None)


def is_container(name: str) -> bool:
    """Tell whether an object of this name speaks of the image as a whole, like `image_analysis`.

    So does one of texts in English, which findings are put in.
    """
    return _words(name) <= NEUTRAL | {"quality", "en"}


def _weight(key: str, words: frozenset[str]) -> int:
    """Count the telling words that a key accounts for."""
    fitting = (frozenset(phrase.split()) for phrase in PHRASES[key])
    return max(2 * len(phrase - NEUTRAL) + len(phrase) for phrase in fitting if phrase <= words)


@lru_cache(maxsize=4096)
def _words(name: str) -> frozenset[str]:
    return frozenset(_singular(word.lower()) for word in WORD.findall(name))


def _singular(word: str) -> str:
    if word in SYNONYMS:
        return SYNONYMS[word]
    plural = word.endswith("s") and not word.endswith(("ss", "is", "us", "as")) and len(word) > 2
    return word[:-1] if plural else word

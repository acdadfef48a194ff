"""What makes two questions the same, and how old an answer may be that is given again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

AUTO, OFF, REFRESH = "auto", "off", "refresh"
WORDS = (AUTO, OFF, REFRESH)
LONGEST = 30 * 86_400
MEANT = f"Must be {AUTO}, {OFF}, {REFRESH}, or whole seconds from 0 to {LONGEST:,}."
FORMAT = 1
"""Part of every fingerprint: a release that asks otherwise, or sends other pixels, counts it up."""

Cache = str | int
"""One of WORDS, or the seconds that an answer may be old."""


def parsed(value: Any) -> Cache:
    """What a client means by `cache`; seconds may be a text. Raises ValueError, which says what is taken."""
    if isinstance(value, str) and value not in WORDS:
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # to JSON, 60.0 is the integer 60
    if isinstance(value, str) or (
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LONGEST
    ):
        return value
    raise ValueError(MEANT)


def seconds(cache: Cache, usual: int) -> int | None:
    """How much older than its question an answer may be; None where none is given again.

    `usual` is what `auto` stands for, and 0 there switches it off.
    """
    if cache == AUTO:
        return usual or None
    if cache == OFF:
        return None
    return 0 if cache == REFRESH else int(cache)


class Common(NamedTuple):
    """What many questions of a submission have in common; structures are JSON texts."""

    account_id: str
    endpoint: str
    """Its address: the same model may be another one elsewhere."""
    preset: str
    preset_version: int
    preset_id: str | None
    lists: str
    """Revisions of the brands, or of the taxonomy, that the preset looks up."""
    options: str
    response_format: str
    rules: tuple[str, ...]
    """Rule sets that the images must keep to."""
    model: str
    stronger_model: str | None
    max_tokens: int
    temperature: float
    detail: str
    body: str
    """Of a chat: its digest."""


def as_text(value: Any, *, sort: bool = False) -> str:
    """JSON of a structure; its order counts unless it is sorted, for endpoints answer in a schema's order."""
    return "" if value is None else json.dumps(value, sort_keys=sort)


def digest(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(common: Common, question: str | None, context: str | None, digests: Sequence[str]) -> bytes:
    """SHA-256 of all that an answer depends on. Texts have no NUL, so that it can stand between them."""
    said = "\0".join([question or "", context or "", *digests])
    return hashlib.sha256(_head(common) + said.encode()).digest()


@lru_cache(maxsize=256)
def _head(common: Common) -> bytes:
    return hashlib.sha256(json.dumps([FORMAT, *common]).encode()).digest()

"""JSON as models write it: in fences, amid prose, with a comma too many. What is broken off stays broken.

Nothing is ever added: a text that lacks a bracket or a quote is refused, for whatever would complete it is a
guess, and a repaired answer looks just like a true one.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST_DIGITS = 4_000
"""Of a whole number; Python itself reads no more than 4,300."""
STRING = r'"(?:[^"\\]|\\.)*"'
COMMA_TOO_MANY = re.compile(rf"({STRING})|,(?=\s*[}}\]])", re.DOTALL)
OPENING = re.compile(r"[{\[]")
LOOKS_LIKE_JSON = re.compile(r"""\{\s*(?:["}]|'?\w+'?\s*:)|\[\s*(?:["'{\[\]\d-]|true\b|false\b|null\b)""")


def values(text: str) -> list[Any]:
    """The JSON value that a text is or, where it is none, each object and list that stands in it.

    Raises ValueError where there is none, or something that begins like one and does not end; RecursionError
    where it is nested too deeply.
    """
    try:
        return [_decoder.decode(text)]
    except ValueError as error:
        found = _within(_without_spare_commas(text))
        if not found:
            raise error from None
        return found


def _within(text: str) -> list[Any]:
    found, place = [], 0
    while (opening := OPENING.search(text, place)) is not None:
        place = opening.start()
        try:
            value, place = _decoder.raw_decode(text, place)
            found.append(value)
        except ValueError:
            if LOOKS_LIKE_JSON.match(text, place):
                raise  # what stands within it is a part, and would be taken for the whole
            place += 1
    return found


def _without_spare_commas(text: str) -> str:
    return COMMA_TOO_MANY.sub(lambda match: match[1] or "", text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object says one of its fields twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS:,} digits")
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # as 1e999 is: neither JSON nor Postgres has that
        raise ValueError(f"{text[:40]} is too large a number")
    return number


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_number, parse_int=_whole, parse_float=_real
)

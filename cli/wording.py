"""Figures and texts as people read them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

NOTHING = "-"
ABOUT_NOTHING = 0.001
"""Money below which four decimals say too little."""
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
HIDDEN = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, lone surrogates and changes of direction: what steers a terminal, breaks an encoder, or
shows text in another order than it has."""


def printable(text: str) -> str:
    """The text without anything that a terminal would obey: names and answers come from strangers."""
    return HIDDEN.sub(lambda found: found[0] if found[0] in "\n\t" else "", text)


def one_line(value: Any) -> str:
    """A value as a few words in one line."""
    if isinstance(value, list):
        return ", ".join(one_line(item) for item in value) or NOTHING
    if isinstance(value, dict):
        return printable(as_json(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOTHING if value is None or value == "" else " ".join(printable(str(value)).split())


def as_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that a person can read too; a control character in it stays an escape."""
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def escaped(json_text: str) -> str:
    """JSON, with an escape for each character in it that a terminal would obey."""
    return HIDDEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", json_text)


def money(analysis: dict[str, Any]) -> str:
    """What an analysis cost; an answer that was given again says so, where nothing was paid besides."""
    cost = analysis.get("cost") or {}
    if analysis.get("cached") and not cost.get("total_cost"):
        return "cached"
    return amount(cost.get("total_cost"), cost.get("currency") or "USD")


def amount(value: float | None, currency: str) -> str:
    """An amount with its currency; two digits that count where it is tiny."""
    if value is None:
        return "unknown"
    if not value:
        return "free"
    digits = f"{value:.4f}" if value >= ABOUT_NOTHING else f"{Decimal(f'{value:.2g}'):f}"
    return f"${digits}" if currency == "USD" else f"{digits} {currency}"


def bill(analysis: dict[str, Any]) -> str:
    """Tokens, cost and time of an analysis, in one line."""
    seconds, cost = analysis.get("processing_time"), money(analysis)
    parts = [f"{tokens(analysis):,} tokens"]
    if cost != "unknown" or tokens(analysis):
        parts.append("cost unknown" if cost == "unknown" else cost)
    return ", ".join(parts + ([] if seconds is None else [f"{seconds:.2f} s"]))


def tokens(analysis: dict[str, Any]) -> int:
    """All tokens of an analysis."""
    return int((analysis.get("usage") or {}).get("total_tokens") or 0)


def age(moment: str, now: datetime | None = None) -> str:
    """How long ago a time of the API was."""
    return duration(((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds())


def duration(seconds: float) -> str:
    """A length of time in its largest unit: 5 min."""
    length, unit = next(((length, unit) for length, unit in UNITS if seconds >= length), UNITS[-1])
    return f"{max(0, int(seconds // length))} {unit}"


def count(number: int, noun: str) -> str:
    """A number of things: 1 image, 2 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(byte_size: int) -> str:
    """Bytes in the units of docs/configuration.md."""
    if byte_size >= 1_000_000:
        return f"{byte_size / 1_000_000:.1f} MB"
    return f"{byte_size / 1_000:.0f} kB" if byte_size >= 1_000 else f"{byte_size} B"


def problem_of(analysis: dict[str, Any]) -> str:
    """Why an analysis has no answer."""
    error = analysis.get("error") or {}
    why = error.get("message") or analysis.get("reason")
    if analysis["status"] == "failed":
        return one_line(why or "It failed, and no reason was given.")
    return f"{analysis['status']}: {one_line(why)}" if why else str(analysis["status"])


def names_of(images: Sequence[dict[str, Any]]) -> str:
    """The file names of an analysis."""
    return ", ".join(one_line(image.get("file_name")) for image in images)

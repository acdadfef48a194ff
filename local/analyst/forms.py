"""Puts a finding into the form of a single value."""

import math
from collections.abc import Mapping
from typing import Any

from local.analyst.blanks import MISSING
from local.analyst.findings import Finding

PERCENT = 100


def scalar(schema: Mapping[str, Any], finding: Finding) -> Any:
    """Give a finding as string, number, boolean or enum member; MISSING where it has no such form."""
    if "enum" in schema or "const" in schema:
        return _member(schema.get("enum", [schema.get("const")]), finding)
    match schema.get("type"):
        case "string":
            return _text(schema, finding)
        case "number" | "integer":
            return _number(schema, finding)
        case "boolean":
            return MISSING if finding.flag is None else finding.flag
        case _:
            return MISSING


def _member(members: list[Any], finding: Finding) -> Any:
    """Pick the enum's member that one of the finding's labels names, the best label first."""
    by_word = {_plain(member): member for member in members if isinstance(member, str)}
    for label in (*finding.labels, finding.text or "", *_yes_or_no(finding)):
        if label and _plain(label) in by_word:
            return by_word[_plain(label)]
    return finding.flag if finding.flag is not None and finding.flag in members else MISSING


def _plain(word: str) -> str:
    return word.casefold().replace("_", " ").replace("-", " ").strip()


def _yes_or_no(finding: Finding) -> tuple[str, ...]:
    if finding.flag is None:
        return ()
    return ("yes", "present", "true") if finding.flag else ("no", "absent", "false", "none")


def _text(schema: Mapping[str, Any], finding: Finding) -> Any:
    if finding.text is None:
        return MISSING
    return finding.text[: schema.get("maxLength")]


def _number(schema: Mapping[str, Any], finding: Finding) -> Any:
    """Give counts and sizes as they stand; scale a 0..1 score to the range asked for."""
    whole = schema.get("type") == "integer"
    if finding.score is None:
        if finding.number is None:
            return MISSING
        return round(finding.number) if whole else finding.number
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", PERCENT if whole else 1))
    if not math.isfinite(high - low) or high < low:
        return MISSING
    scaled = low + finding.score * (high - low)
    return round(scaled) if whole else round(scaled, 3)

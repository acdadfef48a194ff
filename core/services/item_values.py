"""The values of one item, checked one by one: what is wrong with one is a problem of its field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from core import quality

Problem = Callable[[str, str], None]
"""Notes that something is wrong with a field, and why."""


class Values:
    """What an item says, its batch's defaults included. A value that is wrong is read as one left out."""

    def __init__(self, values: Mapping[str, Any], problem: Problem) -> None:
        self._values = values
        self._problem = problem

    def get(self, name: str, default: Any = None) -> Any:
        """A value as it was given."""
        return self._values.get(name, default)

    def text(self, name: str, most: int, *, blank: bool = True) -> str | None:
        """A text of at most so many characters."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not is_storable(value):
            self._problem(name, "Must be a text without NUL or unpaired surrogate characters.")
            return None
        if len(value) > most:
            self._problem(name, f"Must have at most {most:,} characters.")
        if not blank and not value.strip():
            self._problem(name, "Must not be blank.")
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number in these bounds."""
        return cast("float | None", self._bounded(name, (int, float), least, most))

    def whole(self, name: str, most: int) -> int | None:
        """A whole number from 1."""
        return cast("int | None", self._bounded(name, int, 1, most))

    def json_object(self, name: str, most: int) -> dict[str, Any]:
        """A JSON object of at most so many bytes; empty where there is none."""
        value = self._values.get(name)
        if not value and (value is None or isinstance(value, dict)):
            return {}
        if why := _why_no_object(value, most):
            self._problem(name, why)
            return {}
        return cast("dict[str, Any]", value)

    def rule_sets(self, name: str) -> list[str] | None:
        """Rules of quality, each once."""
        names = self._values.get(name)
        known = isinstance(names, list) and all(one in quality.rule_sets() for one in map(str, names))
        if names and (not known or len(set(names)) < len(names)):
            self._problem(name, f"Must be a list of: {', '.join(quality.rule_sets())}; each once.")
            return None
        return names or None

    def _bounded(self, name: str, kinds: Any, least: float, most: float) -> Any:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
            whole = "whole " if kinds is int else ""
            self._problem(name, f"Must be a {whole}number from {least:g} to {most:g}.")
            return None
        return value


def _why_no_object(value: Any, most: int) -> str | None:
    if not isinstance(value, dict):
        return "Must be a JSON object."
    try:
        encoded = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return "Must not contain NaN or numbers without end, nor be nested too deeply."
    if len(encoded) > most:
        return f"May take at most {most:,} bytes as JSON."
    if "\\u0000" in encoded or ("\\ud" in encoded and not is_storable(json.dumps(value, ensure_ascii=False))):
        return "Must not contain NUL or unpaired surrogate characters."
    return None


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text; ASCII, which most is, is judged without looking further."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in text

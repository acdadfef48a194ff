"""Words that stand in a statement itself: each parameter costs each time, a list of them more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, String, literal_column


def said(word: str) -> ColumnElement[str]:
    """A word of ours, never a client's: nothing in it is escaped."""
    return literal_column(f"'{word}'", String)


def one_of(column: Any, words: Iterable[str]) -> ColumnElement[bool]:
    """Whether a column is any of these words."""
    found: ColumnElement[bool] = column.in_([said(word) for word in words])
    return found

"""Registries as tables, and what is wrong with a table that was sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.connection import Refused
from cli.failure import Failure
from cli.terminal import Screen

Rows = Iterable[dict[str, Any]]


def show(
    found: Rows, columns: Sequence[str], *, as_json: bool, otherwise: str, whole: Collection[str] = ("id",)
) -> None:
    """Print rows with these fields as a table, of which the whole ones are not wrapped, or as JSON lines."""
    if as_json:
        for each in found:
            click.echo(wording.as_json(each))
        return
    rows = iter(found)
    if (first := next(rows, None)) is None:
        click.echo(otherwise, err=True)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        fixed = name in whole
        table.add_column(name.capitalize(), no_wrap=fixed, overflow="ignore" if fixed else "fold")
    for each in chain([first], rows):
        table.add_row(*(Text(wording.one_line(each[name])) for name in columns))
    Screen().table(table)


@contextmanager
def telling_bad_lines() -> Any:
    """Tell every line of a table that a server refuses. Raises Failure for it."""
    try:
        yield
    except Refused as refusal:
        errors = refusal.details.get("errors", [])
        for error in errors:
            click.echo(f"line {error['line']}: {wording.one_line(error['error'])}", err=True)
        if not errors:
            raise
        count = wording.count(refusal.details.get("error_count", len(errors)), "bad line")
        raise Failure(f"{count}; nothing was stored.") from refusal

"""Catalogue entries as a table, as CSV and as JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import click
from rich import box
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.client import Analysis
from cli.local_file import LocalFile
from cli.terminal import Screen

ROOMY_COLUMNS = 100
FORMULA = frozenset("=+-@")
"""What a spreadsheet takes for the beginning of a formula."""
FROM_DATA = {
    "category": "category",
    "subcategory": "subcategory",
    "brand": "brand_detected",
    "colours": "dominant_colors",
    "material": "primary_material",
    "condition": "product_condition",
    "quality": "image_quality",
    "background": "background",
    "text_overlay": "has_text_overlay",
    "description": "description",
    "tags": "tags",
    "confidence": "confidence",
}
COLUMNS = ("file", "id", "status", *FROM_DATA, "model", "tokens", "cost", "currency", "seconds", "error")


@dataclass(frozen=True, slots=True)
class Entry:
    """An image and its analysis."""

    image: LocalFile
    analysis: Analysis

    @property
    def data(self) -> dict[str, Any]:
        """What was found; empty where nothing was."""
        data = self.analysis.get("data")
        return data if isinstance(data, dict) else {}


class Sheet(Protocol):
    """Where entries are written, in their order."""

    def add(self, entry: Entry) -> None:
        """Take an entry."""

    def end(self) -> None:
        """Nothing comes any more."""


class JsonLines:
    """One object per line: the analysis, and the file it is about."""

    def add(self, entry: Entry) -> None:
        """Print it."""
        click.echo(wording.as_json({"file": entry.image.path, **entry.analysis}))

    def end(self) -> None:
        """Everything is printed."""


class Csv:
    """A header, then one line for each entry."""

    def __init__(self) -> None:
        self._print(COLUMNS)

    def add(self, entry: Entry) -> None:
        """Print it."""
        analysis, cost = entry.analysis, entry.analysis.get("cost") or {}
        row = {name: entry.data.get(field) for name, field in FROM_DATA.items()} | {
            "file": entry.image.path,
            "id": analysis.get("id"),
            "status": analysis["status"],
            "model": analysis.get("model"),
            "tokens": wording.tokens(analysis),
            "cost": cost.get("total_cost"),
            "currency": cost.get("currency"),
            "seconds": analysis.get("processing_time"),
            "error": (analysis.get("error") or {}).get("message"),
        }
        self._print([_cell(row[name]) for name in COLUMNS])

    def end(self) -> None:
        """Everything is printed."""

    def _print(self, cells: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        click.echo(line.getvalue(), nl=False)


class TableAtTheEnd:
    """A table for people; of each entry only its cells are kept until then."""

    def __init__(self, images: Sequence[LocalFile], screen: Screen) -> None:
        self._screen = screen
        self._rows: list[list[str]] = []
        self._roomy = screen.columns >= ROOMY_COLUMNS
        self._by_name = len({image.name for image in images}) == len(images)

    def add(self, entry: Entry) -> None:
        """Keep its cells."""
        image = entry.image
        name = wording.one_line(image.name if self._by_name else image.path)
        if entry.analysis["status"] != "completed":
            self._rows.append([name, entry.analysis["status"]])
            return
        self._rows.append([name, *_found(entry.data, 3 if self._roomy else 2), wording.money(entry.analysis)])

    def end(self) -> None:
        """Print the table, unless there is nothing in it."""
        if self._rows:
            self._screen.table(_table(self._rows, roomy=self._roomy))


def _found(data: dict[str, Any], most_colours: int) -> list[str]:
    colours = data.get("dominant_colors")
    confidence = data.get("confidence")
    return [
        wording.one_line(data.get("category")),
        wording.one_line(colours[:most_colours] if isinstance(colours, list) else colours),
        wording.one_line(data.get("image_quality")),
        wording.one_line(data.get("product_condition")),
        wording.one_line(data.get("background")),
        f"{confidence:.0%}" if isinstance(confidence, (int, float)) else wording.NOTHING,
    ]


def _table(rows: Sequence[Sequence[str]], *, roomy: bool) -> Table:
    """A table of which no word is broken at 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, int(roomy), 0, 0))
    table.add_column("Photo", no_wrap=True, overflow="ellipsis", max_width=40 if roomy else 16)
    table.add_column("Category", min_width=8)
    table.add_column("Colours", min_width=12)
    for name in ("Quality", "Condition"):
        table.add_column(name, no_wrap=True)
    table.add_column("Background", min_width=11)
    for name in ("Sure", "Cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _cell(value: Any) -> str:
    """A value for a spreadsheet: nothing where there is none, no line breaks, and nothing it would calculate.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = "" if value is None or value == [] else wording.one_line(value)
    is_formula = text[:1] in FORMULA and text != wording.NOTHING and not isinstance(value, (int, float))
    return f"'{text}" if is_formula else text

"""The demo's answers as a table, and their totals."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.table import Table

from local.asking import Outcome

NOTHING = "-"
ROOMY_COLUMNS = 100


def table(outcomes: Sequence[Outcome], columns: int) -> Table:
    """One row for each photo, and a line of totals; fewer colours where columns are few."""
    colours = 2 if columns < ROOMY_COLUMNS else 3
    shown = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    shown.add_column("Photo", f"{len(outcomes)} photos", no_wrap=True)
    shown.add_column("Colours")
    shown.add_column("Quality")
    shown.add_column("Background")
    shown.add_column("Tokens", str(sum(map(_tokens, outcomes))), justify="right", no_wrap=True)
    shown.add_column("Cost", _money(outcomes, sum(map(_cost, outcomes), Decimal(0))), justify="right")
    shown.add_column("Time", _seconds(sum(map(_time, outcomes))), justify="right", no_wrap=True)
    for outcome in outcomes:
        shown.add_row(*_cells(outcome, colours))
    return shown


def _cells(outcome: Outcome, colours: int) -> list[str]:
    if not outcome.answered:
        return [outcome.sample.name, outcome.problem, *[NOTHING] * 5]
    data = outcome.analysis.get("data") or {}
    return [
        outcome.sample.name,
        _words((data.get("dominant_colors") or [])[:colours]),
        _words(data.get("image_quality")),
        _words(data.get("background")),
        str(_tokens(outcome)),
        _money([outcome], _cost(outcome)),
        _seconds(_time(outcome)),
    ]


def _words(value: Any) -> str:
    """Whatever the schema gives for a field, as a few words."""
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value) or NOTHING
    if isinstance(value, dict):
        return _words(
            next((value[key] for key in ("name", "label", "overall", "type") if key in value), None)
        )
    return NOTHING if value is None else str(value)


def _tokens(outcome: Outcome) -> int:
    return int((outcome.analysis.get("usage") or {}).get("total_tokens") or 0)


def _cost(outcome: Outcome) -> Decimal:
    return Decimal(str((outcome.analysis.get("cost") or {}).get("total_cost") or 0))


def _time(outcome: Outcome) -> float:
    return float(outcome.analysis.get("processing_time") or 0)


def _money(outcomes: Sequence[Outcome], amount: Decimal) -> str:
    if not amount:
        return "free"
    currencies = [(outcome.analysis.get("cost") or {}).get("currency") for outcome in outcomes]
    return f"{amount:.4f} {next(filter(None, currencies), '')}".strip()


def _seconds(value: float) -> str:
    return f"{value:.2f} s"

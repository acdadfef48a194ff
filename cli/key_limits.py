"""The limits of an API key: as options, and as columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from core.models import ApiKey, BudgetKind
from core.services.budgets import Spending

NONE = "none"
MOST_USD = Decimal(99_999_999)
MOST_TOKENS = 10**13
SUFFIXES = {"M": 1_000_000, "k": 1_000}


class Usd(click.ParamType[Decimal]):
    """Dollars above 0."""

    name = "USD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The amount."""
        try:
            amount = Decimal(value)
        except (InvalidOperation, TypeError):
            amount = Decimal(0)
        if not amount.is_finite() or not 0 < amount <= MOST_USD:
            self.fail(f"{value} is not an amount of dollars, such as 50 or 12.50.", param, ctx)
        return amount


class Tokens(click.ParamType[Decimal]):
    """A number of tokens, 1 or more."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The number."""
        text = str(value).replace("_", "").replace(",", "")
        if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= MOST_TOKENS:
            self.fail(f"{value} is not a number of tokens, such as 2000000.", param, ctx)
        return Decimal(text)


class OrNone(click.ParamType[Any]):
    """A value, or the word none."""

    def __init__(self, inner: click.ParamType[Any]) -> None:
        self.inner = inner
        self.name = f"{inner.name}|{NONE}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; NONE for none, since click takes None for an option that is not there."""
        return NONE if value == NONE else self.inner.convert(value, param, ctx)


def budgets(*, removable: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --monthly-usd and --daily-tokens to a command."""
    usd, tokens = (OrNone(kind) if removable else kind for kind in (Usd(), Tokens()))

    or_none = f"|{NONE}" if removable else ""

    def decorator(command: Callable[..., Any]) -> Callable[..., Any]:
        month = click.option(
            "--monthly-usd", type=usd, metavar=f"USD{or_none}", help="What it may cost in a month, in UTC."
        )
        day = click.option(
            "--daily-tokens",
            type=tokens,
            metavar=f"N{or_none}",
            help="Tokens that it may use in a day, in UTC.",
        )
        return month(day(command))

    return decorator


def spending(monthly_usd: Any, daily_tokens: Any) -> dict[BudgetKind, Any]:
    """The budgets that were given; None for those to be removed."""
    given = {BudgetKind.MONTHLY_USD: monthly_usd, BudgetKind.DAILY_TOKENS: daily_tokens}
    return {kind: None if most == NONE else most for kind, most in given.items() if most is not None}


def rate(text: str | None) -> dict[str, Any]:
    """What --rate-limit changes: a rate, `unlimited`, or `none` for the server's own."""
    if text is None:
        return {}
    own = None if text in {NONE, "unlimited"} else text
    return {"rate_limit": own, "unlimited": text == "unlimited"}


def rate_of(key: ApiKey) -> str:
    """How often a key may submit."""
    return "unlimited" if key.unlimited else key.rate_limit or "default"


def budgets_of(spendings: Sequence[Spending]) -> str:
    """What is used of each budget: $3.20/50 a month, 12k/2M tokens a day."""
    words = {BudgetKind.MONTHLY_USD: ("$", " a month"), BudgetKind.DAILY_TOKENS: ("", " tokens a day")}
    told = []
    for each in spendings:
        before, after = words[each.kind]
        told.append(f"{before}{_short(each.kind, each.used)}/{_short(each.kind, each.most)}{after}")
    return ", ".join(told)


def _short(kind: BudgetKind, amount: Decimal) -> str:
    if kind == BudgetKind.MONTHLY_USD:
        return f"{amount:.2f}".removesuffix(".00")
    for suffix, size in SUFFIXES.items():
        if amount >= size:
            return f"{amount / size:.1f}".removesuffix(".0") + suffix
    return str(int(amount))

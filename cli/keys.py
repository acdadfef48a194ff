"""vitrine keys: make, list, limit and revoke API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import key_limits
from cli.operator import desk
from core.models import ApiKey
from core.services import budgets
from core.services import keys as service
from core.services.budgets import Spending
from core.services.keys import Limits, Scope

COLUMNS = ("id", "begins", "account", "name", "scopes", "created", "limit", "budget", "state")
UNCUT = frozenset({"id", "begins", "state"})
LESS_NEEDED = frozenset({"begins", "created"})
"""Left out where there is no room for them beside the whole id, which `revoke` takes."""
ROOMY_COLUMNS = 110
PIPED_COLUMNS = 200


@click.group()
def keys() -> None:
    """Make, list, limit and revoke API keys."""


@keys.command()
@click.option("--account", default="default", show_default=True, help="Whose key; made where it is new.")
@click.option("--name", default="key", show_default=True, help="What you will know the key by.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; repeat for several. All, when none is given.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Expires after so many days; never, by default.")
@click.option("--unlimited", is_flag=True, help="Exempt from rate limits.")
@click.option(
    "--rate-limit", metavar="N/TIME", help="How often it may submit, such as 200/minute, not as others may."
)
@key_limits.budgets()
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
def create(
    account: str,
    name: str,
    scopes: tuple[str, ...],
    days: int | None,
    rate_limit: str | None,
    monthly_usd: Decimal | None,
    daily_tokens: Decimal | None,
    *,
    unlimited: bool,
    quiet: bool,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    if unlimited and rate_limit:
        raise click.UsageError("A key is either --unlimited or has a --rate-limit.")
    made = service.create(
        desk(),
        account=account,
        name=name,
        scopes=frozenset(Scope(scope) for scope in scopes) or frozenset(Scope),
        unlimited=unlimited,
        rate_limit=rate_limit,
        valid_for=timedelta(days=days) if days else None,
        spending=key_limits.spending(monthly_usd, daily_tokens),
    )
    click.echo(made.secret)
    if not quiet:
        click.echo(
            f"Key {name!r} ({made.key.id}) of account {account!r}. Keep it safe: it is not shown again.",
            err=True,
        )


@keys.command("list")
@click.option("--account", help="Only this account's.")
def listing(account: str | None) -> None:
    """List keys; their secrets are not kept."""
    console = Console(width=None if Console().is_terminal else PIPED_COLUMNS)
    hidden = frozenset() if console.width >= ROOMY_COLUMNS else LESS_NEEDED
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        if name not in hidden:
            table.add_column(name, no_wrap=name in UNCUT, overflow="ignore" if name in UNCUT else "fold")
    opened = desk()
    found = service.listing(opened, account)
    spendings = budgets.of_keys(opened, [key.id for key in found])
    for key in found:
        row = _row(key, [each for each in spendings if each.owner_id == key.id])
        table.add_row(*(Text(row[name]) for name in COLUMNS if name not in hidden))
    console.print(table)


@keys.command()
@click.argument("key")
@click.option(
    "--rate-limit",
    metavar="N/TIME|none|unlimited",
    help="How often it may submit; none for the server's limit.",
)
@key_limits.budgets(removable=True)
def limit(key: str, rate_limit: str | None, monthly_usd: Any, daily_tokens: Any) -> None:
    """Change the limits of the key with this id or beginning, from now on.

    A budget that is raised resumes the batches that it paused. One that is new counts what was used before
    in this month, or on this day.

    \b
    Example:
      vitrine keys limit key_01kaj3c0dpw8w0z3f6s9q2xk7v --monthly-usd 80 --daily-tokens none
    """  # noqa: D301 - click wants the character
    limits = Limits(key_limits.rate(rate_limit), key_limits.spending(monthly_usd, daily_tokens))
    if not limits.rate and not limits.spending:
        raise click.UsageError("Say what to change: --monthly-usd, --daily-tokens or --rate-limit.")
    opened = desk()
    changed = service.limit(opened, key, limits)
    told = key_limits.budgets_of(budgets.of_keys(opened, [changed.id])) or "none"
    click.echo(f"{changed.id} ({changed.name}): rate limit {key_limits.rate_of(changed)}, budgets: {told}.")


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Revoke the key with this id or beginning; it stops working at once."""
    revoked = service.revoke(desk(), key)
    click.echo(f"Revoked {revoked.id} ({revoked.name}).")


def _row(key: ApiKey, spendings: Sequence[Spending]) -> dict[str, str]:
    """What the columns say of a key."""
    return {
        "id": key.id,
        "begins": key.prefix,
        "account": key.account.name,
        "name": key.name,
        "scopes": " ".join(key.scopes),
        "created": f"{key.created_at:%Y-%m-%d %H:%M}",
        "limit": key_limits.rate_of(key),
        "budget": key_limits.budgets_of(spendings) or "none",
        "state": _state(key),
    }


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "active"

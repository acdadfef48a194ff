"""vitrine webhooks: who is told of events, how that went, and the events themselves for development."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.interrupt import Interrupt
from cli.server import Server, asks_server
from cli.terminal import Screen
from cli.webhooks.client import Delivery, Webhook, WebhookClient
from cli.webhooks.listening import listen

WEBHOOK_COLUMNS = ("Webhook", "State", "Age", "Address", "Events")
DELIVERY_COLUMNS = ("Delivery", "Event", "Status", "Tries", "Last", "Age", "Subject")


@click.group()
def webhooks() -> None:
    """Make and look after webhooks, and follow events live.

    \b
    Examples:
      vitrine webhooks create https://shop.example/hook --event batch.completed --event batch.failed
      vitrine webhooks listen --forward http://localhost:3000/hook
      vitrine webhooks deliveries wh_01kaj3c0dpw8w0z3f6s9q2xk7v --status failed
    """  # noqa: D301 - click wants the character


webhook_id = click.argument("webhook_id", metavar="ID")


@webhooks.command()
@click.argument("address", metavar="URL")
@click.option(
    "--event", "events", multiple=True, metavar="NAME", help="What it hears of; repeat. All without one."
)
@click.option("--batch-items", is_flag=True, help="Also of the items of batches, one by one.")
@click.option("--description", metavar="TEXT", help="What you will know it by.")
@asks_server
def create(
    address: str, *, server: Server, events: tuple[str, ...], batch_items: bool, description: str | None
) -> None:
    """Make a webhook and print its secret, once."""
    said: dict[str, Any] = {"events": list(events) or None, "description": description}
    given = {name: value for name, value in said.items() if value is not None}
    made = _client(server).create(url=address, batch_items=batch_items, **given)
    click.echo(made["secret"])
    click.echo(f"{made['id']} tells {address}. Keep its secret safe: it is not shown again.", err=True)


@webhooks.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one webhook per line as JSON.")
@asks_server
def listing(*, server: Server, as_json: bool) -> None:
    """List webhooks, the newest first."""
    found = _client(server).page(limit=100)
    rows = [_webhook_row(webhook) for webhook in found]
    _print(found, WEBHOOK_COLUMNS, rows, as_json=as_json, otherwise="There are no webhooks.")


@webhooks.command()
@webhook_id
@click.option("--status", type=click.Choice(["pending", "delivered", "failed"]), help="Only these.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, metavar="N", help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print one delivery per line as JSON.")
@asks_server
def deliveries(webhook_id: str, *, server: Server, status: str | None, limit: int, as_json: bool) -> None:
    """List what was, or is to be, delivered, the newest first."""
    query = {"limit": limit} | ({"status": status} if status else {})
    found = _client(server).deliveries(webhook_id, **query)
    rows = [_delivery_row(delivery) for delivery in found]
    _print(found, DELIVERY_COLUMNS, rows, as_json=as_json, otherwise="There are no such deliveries.")


@webhooks.command()
@webhook_id
@asks_server
def test(webhook_id: str, *, server: Server) -> None:
    """Send a webhook.ping."""
    sent = _client(server).act(webhook_id, "test")
    click.echo(f"{sent['id']} is on its way: vitrine webhooks deliveries {webhook_id} tells how it went.")


@webhooks.command()
@webhook_id
@click.argument("delivery_id", metavar="DELIVERY")
@asks_server
def redeliver(webhook_id: str, delivery_id: str, *, server: Server) -> None:
    """Send a delivery anew, under the same id."""
    sent = _client(server).redeliver(webhook_id, delivery_id)
    click.echo(f"{sent['id']} is on its way again.")


@webhooks.command()
@webhook_id
@click.option(
    "--since", required=True, metavar="TIME", help="Events from then on, such as 2026-11-21T09:00:00Z."
)
@click.option("--until", metavar="TIME", help="Up to then; now, by default.")
@click.option("--status", type=click.Choice(["delivered", "failed"]), help="Only these.")
@asks_server
def replay(webhook_id: str, *, server: Server, **span: str | None) -> None:
    """Send the events of a span of time anew, under the same ids."""
    given = {name: value for name, value in span.items() if value is not None}
    for name in given.keys() - {"status"}:
        given[name] = _moment(name, given[name])
    number = _client(server).act(webhook_id, "replay", **given)["deliveries"]
    click.echo(f"{number:,} deliveries are on their way again.")


@webhooks.command()
@webhook_id
@asks_server
def rotate(webhook_id: str, *, server: Server) -> None:
    """Make a new secret and print it; for 24 hours the one before signs, too."""
    changed = _client(server).act(webhook_id, "rotate")
    click.echo(changed["secret"])
    click.echo(f"The secret before signs until {changed['old_secret_until'][:16]} UTC, too.", err=True)


@webhooks.command()
@webhook_id
@asks_server
def enable(webhook_id: str, *, server: Server) -> None:
    """Enable a webhook that was disabled."""
    _client(server).change(webhook_id, enabled=True)
    click.echo(f"{webhook_id} is enabled. `vitrine webhooks replay` sends what it has not got.")


@webhooks.command()
@webhook_id
@asks_server
def disable(webhook_id: str, *, server: Server) -> None:
    """Disable a webhook; what waits for it is given up."""
    _client(server).change(webhook_id, enabled=False)
    click.echo(f"{webhook_id} is disabled.")


@webhooks.command()
@webhook_id
@asks_server
def delete(webhook_id: str, *, server: Server) -> None:
    """Delete a webhook with its deliveries."""
    _client(server).delete(webhook_id)
    click.echo(f"{webhook_id} is deleted.")


@webhooks.command("listen")
@click.option("--forward", metavar="URL", help="Post each event there, signed.")
@click.option("--secret", metavar="SECRET", help="Sign with this one. One is made and shown otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print each message as JSON.")
@asks_server
def listen_live(*, server: Server, forward: str | None, secret: str | None, as_json: bool) -> int:
    """Follow events from now on, and post them to a server on this machine: for development.

    They are posted as webhooks are, with the same headers, but once: nothing is tried again.
    """
    return listen(_client(server), Screen(), forward=forward, secret=secret, as_json=as_json)


def _client(server: Server) -> WebhookClient:
    return WebhookClient(server, Interrupt(), Screen().note)


def _print(
    found: Sequence[dict[str, Any]],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    as_json: bool,
    otherwise: str,
) -> None:
    if as_json:
        for each in found:
            click.echo(wording.as_json(each))
        return
    if not rows:
        click.echo(otherwise, err=True)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        whole = name in {"Webhook", "Delivery", "State", "Status", "Age"}
        table.add_column(name, no_wrap=whole, overflow="ignore" if whole else "fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Screen().table(table)


def _webhook_row(webhook: Webhook) -> tuple[str, ...]:
    state = "failing" if webhook["enabled"] and webhook["failing_since"] else "enabled"
    return (
        webhook["id"],
        state if webhook["enabled"] else "disabled",
        wording.age(webhook["created_at"]),
        wording.one_line(webhook["url"]),
        wording.one_line(webhook["events"]),
    )


def _delivery_row(delivery: Delivery) -> tuple[str, ...]:
    last = delivery["last_status_code"] or (delivery["reason"] if delivery["attempts"] else None)
    return (
        delivery["id"],
        delivery["type"],
        delivery["status"],
        str(delivery["attempts"]),
        wording.one_line(last),
        wording.age(delivery["created_at"]),
        delivery["subject"],
    )


def _moment(name: str, text: str) -> str:
    """A time as the API takes it. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--{name} takes a time such as 2026-11-21T09:00:00Z, not {text}.") from None
    return moment.astimezone().isoformat()

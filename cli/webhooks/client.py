"""Webhooks over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sseclient import Event, SSEClient

from cli.connection import Connection, named

Webhook = dict[str, Any]
Delivery = dict[str, Any]


class WebhookClient(Connection):
    """The webhooks of a server."""

    def create(self, **body: Any) -> Webhook:
        """Make a webhook; its secret is in the answer, this once. Raises Refused or Unreachable."""
        return self._ask("POST", "/webhooks", json=body).body

    def page(self, **query: Any) -> list[Webhook]:
        """A page of webhooks, the newest first."""
        found: list[Webhook] = self._ask("GET", "/webhooks", params=query).body["data"]
        return found

    def change(self, webhook_id: str, **body: Any) -> Webhook:
        """Change a webhook."""
        return self._ask("PATCH", f"/webhooks/{named(webhook_id)}", json=body).body

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook."""
        self._ask("DELETE", f"/webhooks/{named(webhook_id)}")

    def act(self, webhook_id: str, verb: str, **body: Any) -> dict[str, Any]:
        """Rotate its secret, test it, or replay a span."""
        return self._ask("POST", f"/webhooks/{named(webhook_id)}/{verb}", json=body or None).body

    def deliveries(self, webhook_id: str, **query: Any) -> list[Delivery]:
        """A page of its deliveries, the newest first."""
        place = f"/webhooks/{named(webhook_id)}/deliveries"
        found: list[Delivery] = self._ask("GET", place, params=query).body["data"]
        return found

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send a delivery anew."""
        return self._ask(
            "POST", f"/webhooks/{named(webhook_id)}/deliveries/{named(delivery_id)}/redeliver"
        ).body

    def events(self) -> Iterator[Event]:
        """The account's events from now on, live. Raises Refused, and Unreachable also half way."""
        return SSEClient(self._pieces("/webhooks/stream")).events()

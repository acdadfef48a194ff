"""The events of an account as a live stream, for who has no receiver yet.

A listener is a webhook without an address: what it is to be told is read here. It goes with its connection.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from core.desk import Desk
from core.errors import VitrineError
from core.models import Webhook
from core.services import listeners
from webapp.present_webhooks import message
from webapp.streams import HEARTBEAT, HEARTBEAT_SECONDS, event

LOOK_SECONDS = 0.5
AT_ONCE = 100


def events(desk: Desk, account_id: str, has_gone: Callable[[], bool]) -> Iterator[str]:
    """Every event of the account from now on, until the listener has gone. Raises Conflict at once."""
    listener = listeners.listen(desk, account_id)
    return _events(desk, listener, has_gone)


def _events(desk: Desk, listener: Webhook, has_gone: Callable[[], bool]) -> Iterator[str]:
    try:
        yield event("listening", {"id": listener.id, "secret": listener.secret})
        yield from _messages(desk, listener.id, has_gone)
    finally:
        with contextlib.suppress(VitrineError):  # it goes by itself, a little later
            listeners.stop_listening(desk, listener.id)


def _messages(desk: Desk, listener_id: str, has_gone: Callable[[], bool]) -> Iterator[str]:
    told: list[str] = []
    quiet_since = time.monotonic()
    while not has_gone():
        found = listeners.heard(desk, listener_id, told, AT_ONCE)
        if found is None:
            return
        told = [row.id for row in found]
        for row in found:
            quiet_since = time.monotonic()
            yield event("message", message(row), row.id)
        if time.monotonic() - quiet_since > HEARTBEAT_SECONDS:
            quiet_since = time.monotonic()
            yield HEARTBEAT
        if len(found) < AT_ONCE:
            time.sleep(LOOK_SECONDS)

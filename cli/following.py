"""Live events of a server, followed however often the connection breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sseclient import Event

from cli.connection import Connection, Refused
from cli.failure import Unreachable

PAUSES = (1.0, 2.0, 4.0, 8.0, *[15.0] * 16)
"""Seconds before each new try to connect, of those that follow each other: about four minutes."""
PASSING = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""What a proxy says while the server behind it starts again."""
CLOSING, DONE = "closing", "done"

Connect = Callable[[str | None], Iterator[Event]]
"""Opens the stream behind the event of an id."""


@dataclass(frozen=True, slots=True)
class News:
    """An event, as it was told."""

    name: str
    data: dict[str, Any]


class Follower:
    """Follows one stream; each connection goes on behind the last event of the one before."""

    def __init__(
        self,
        connect: Connect,
        connection: Connection,
        names: Collection[str],
        passing: Collection[int] = PASSING,
    ) -> None:
        self._connect = connect
        self._connection = connection
        self._names = names
        """Of the events that are wanted; the others are not even parsed."""
        self._passing = passing
        """Refusals that are waited out."""
        self._last_event_id: str | None = None
        self._pauses = iter(PAUSES)
        self._is_done = False

    def news(self) -> Iterator[News]:
        """What is told up to `done`; asked again after an error, what is told from there on.

        Raises Unreachable where nothing answers for long, or Ctrl-C was pressed meanwhile, and Refused.
        """
        while not self._is_done:
            try:
                yield from self._until_it_breaks()
            except Unreachable as problem:
                self._wait(problem)
            except Refused as refusal:
                if refusal.status not in self._passing:
                    raise
                self._wait(refusal)

    def _until_it_breaks(self) -> Iterator[News]:
        for event in self._connect(self._last_event_id):
            news = News(event.event, _data(event)) if event.event in self._names else None
            self._last_event_id = event.id or self._last_event_id
            if event.event != CLOSING:
                self._pauses = iter(PAUSES)
            if news is not None:
                yield news
            if event.event == DONE:
                self._is_done = True
                return
        raise Unreachable("The stream ended before it was done.")

    def _wait(self, problem: Refused | Unreachable) -> None:
        """Wait a little longer each time. Raises the problem where it has been long enough."""
        pause = next(self._pauses, None)
        if pause is None or self._connection.interrupt.asked:
            raise problem
        self._connection.say(f"{problem.message} Looking again in {pause:.0f} s.")
        self._connection.interrupt.sleep(pause)


def _data(event: Event) -> dict[str, Any]:
    try:
        data = json.loads(event.data or "{}")
    except ValueError:
        raise Unreachable("The stream ended within an event.") from None
    return data if isinstance(data, dict) else {}

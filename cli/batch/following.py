"""A batch followed live until it is final or paused, however often the connection breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus

from cli.batch.client import Batch, BatchClient
from cli.batch.standing import is_at_rest
from cli.connection import Refused
from cli.failure import Unreachable

POLL_SECONDS = 5.0
PAUSES = (1.0, 2.0, 4.0, 8.0, *[15.0] * 16)
"""Seconds before each new try to connect, of those that follow each other: about four minutes."""
PASSING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
"""What a proxy says while the server behind it starts again."""


class Following:
    """Follows one batch."""

    def __init__(self, client: BatchClient, batch_id: str) -> None:
        self._client = client
        self._batch_id = batch_id
        self._last_event_id: str | None = None
        self._pauses = iter(PAUSES)

    def standings(self) -> Iterator[Batch]:
        """The batch whenever it changed; the last one is final or paused. Raises Refused or Unreachable."""
        while True:
            for batch in self._until_it_breaks():
                self._pauses = iter(PAUSES)
                yield batch
                if is_at_rest(batch):
                    return

    def _until_it_breaks(self) -> Iterator[Batch]:
        try:
            yield from self._streamed()
        except Refused as refusal:
            if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:  # it has as many streams open as it can
                yield from self._polled()
            elif refusal.status in PASSING:
                self._wait(refusal.message, refusal)
            else:
                raise
        except Unreachable as problem:
            self._wait(problem.message, problem)

    def _streamed(self) -> Iterator[Batch]:
        for event in self._client.events(self._batch_id, self._last_event_id):
            self._last_event_id = event.id or self._last_event_id
            if event.event in {"status", "done"}:
                try:
                    yield json.loads(event.data)
                except ValueError:
                    raise Unreachable("The stream ended within an event.") from None
        raise Unreachable("The stream ended before the batch did.")

    def _polled(self) -> Iterator[Batch]:
        yield self._client.one(self._batch_id)
        self._client.interrupt.sleep(POLL_SECONDS)

    def _wait(self, words: str, problem: Refused | Unreachable) -> None:
        """Wait a little longer each time. Raises the problem where it has been long enough."""
        pause = next(self._pauses, None)
        if pause is None:
            raise problem
        self._client.say(f"{words} Looking again in {pause:.0f} s.")
        self._client.interrupt.sleep(pause)

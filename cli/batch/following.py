"""A batch followed live until it is final or paused; polled where the server has no stream to spare."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from cli.batch.client import Batch, BatchClient
from cli.batch.standing import is_at_rest
from cli.connection import Refused
from cli.following import DONE, Follower

POLL_SECONDS = 5.0
NAMES = {"status", DONE}


class Following:
    """Follows one batch."""

    def __init__(self, client: BatchClient, batch_id: str) -> None:
        self._client = client
        self._batch_id = batch_id
        self._follower = Follower(lambda last: client.events(batch_id, last), client, NAMES)

    def standings(self) -> Iterator[Batch]:
        """The batch whenever it changed; the last one is final or paused. Raises Refused or Unreachable."""
        for batch in self._all():
            yield batch
            if is_at_rest(batch):
                return

    def _all(self) -> Iterator[Batch]:
        while True:
            try:
                for news in self._follower.news():
                    yield news.data
            except Refused as refusal:
                if refusal.status != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            yield self._client.one(self._batch_id)
            self._client.interrupt.sleep(POLL_SECONDS)

"""A chat as a stream of server-sent events.

Chunks go on as the endpoint gives them, by way of the worker and Redis; where none came, the finished answer
is cut into chunks instead. Until the first one comments keep the connection open.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from core.errors import UpstreamError, VitrineError
from core.services.chat import Standing
from core.states import FINAL
from webapp.hearing import Hearing
from webapp.openai_api import replies
from webapp.openai_api.chunks import DONE, chunks, data
from webapp.openai_api.errors import detail
from webapp.openai_api.relay import Relay
from webapp.openai_api.waiting import Waiting
from webapp.streams import HEARTBEAT, HEARTBEAT_SECONDS

LOOK_SECONDS = 1.0
"""Between two looks into the database, and whether the client is still there."""


class ChatStream:
    """The events of one chat for one client."""

    def __init__(self, waiting: Waiting, hearing: Hearing, *, include_usage: bool) -> None:
        self._waiting = waiting
        self._include_usage = include_usage
        self._following = ExitStack()
        self._relay = Relay(self._following.enter_context(hearing.following(waiting.analysis_id)))
        self._first: list[dict[str, Any]] = []
        self._final = False
        """Whether it is so before anything was relayed: then all of it comes from the database."""

    def close(self) -> None:
        """Follow it no longer."""
        self._following.close()

    def begin(self) -> Standing:
        """The analysis when its first chunk is there, or it is final, or it takes longer than a heartbeat."""
        end = time.monotonic() + HEARTBEAT_SECONDS
        found = self._waiting.look()
        while not (self._relay.has_begun or found.state in FINAL or self._waiting.is_over(end)):
            self._first = self._read(LOOK_SECONDS)
            found = self._waiting.look()
        self._final = found.state in FINAL and not self._relay.has_begun
        return found

    def events(self) -> Iterator[str]:
        """Everything from the first chunk to [DONE]."""
        try:
            yield from map(data, self._shown(self._first))
            yield from self._relayed()
            yield from self._rest(self._waiting.final())
        except VitrineError as error:
            yield data({"error": detail(error)})
        except GeneratorExit:  # the client went while something was sent
            self._waiting.give_up()
            raise
        yield DONE

    def _relayed(self) -> Iterator[str]:
        """What comes by way of Redis, until it is complete or the analysis is final."""
        told, final = time.monotonic(), self._final
        while not (final or self._relay.is_over or self._waiting.is_over()):
            new = self._read(LOOK_SECONDS)
            if not new:
                final = self._waiting.look().state in FINAL
                new = self._read(0) if final else []  # told before it became final
            yield from map(data, self._shown(new))
            if new:
                told = time.monotonic()
            elif time.monotonic() - told > HEARTBEAT_SECONDS:
                told = time.monotonic()
                yield HEARTBEAT

    def _read(self, seconds: float) -> list[dict[str, Any]]:
        """What is new by way of Redis."""
        new = self._relay.read(seconds)
        if self._relay.has_begun:
            self._waiting = self._waiting.without_hurry()
        return new

    def _rest(self, found: Standing) -> Iterator[str]:
        """What the finished answer has beyond what was relayed. Raises the error that it failed with."""
        status, body = replies.answered(found)
        if status != 200:
            yield data(body)
        elif not self._relay.has_begun:
            yield from map(data, chunks(body, include_usage=self._include_usage))
        elif not self._relay.is_complete:
            raise UpstreamError(
                f"The stream was interrupted; the answer is at /api/v1/analyses/{found.id}.",
                details={"analysis_id": found.id},
            )

    def _shown(self, told: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The endpoint's chunks under our id, with usage only where it was asked for."""
        for chunk in told:
            if not self._include_usage:
                usage = chunk.pop("usage", None)
                if usage is not None and not chunk["choices"]:
                    continue
            yield {**chunk, "id": replies.public_id(self._waiting.analysis_id)}

"""A client that waits for what it asked, and may hang up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf

from flask import Response, jsonify

from core.desk import Desk
from core.errors import Timeout, Unavailable, VitrineError
from core.services import chat
from core.services.chat import Standing
from core.states import FINAL
from webapp import stopping
from webapp.idempotency import once
from webapp.openai_api import replies
from webapp.operations import desk, key
from webapp.streams import RETRY_AFTER, StreamsFull, streams, watch_for_hang_up

STOPPING_SECONDS = 10.0
"""How long a process that stops waits for chats: what is asked is paid, and who hangs up pays again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Waits for an analysis until a time of time.monotonic()."""

    desk: Desk
    account_id: str
    analysis_id: str
    until: float
    has_gone: Callable[[], bool]
    is_new: bool
    """Whether it was asked just now, and not by an earlier sending of the same request."""
    abandons: bool
    """Whether nobody can come back for the answer, so that a chat is cancelled when its client goes."""

    def is_over(self, end: float = inf) -> bool:
        """Whether the time is up, or another end reached, or the client has gone, or this process has to."""
        if time.monotonic() >= min(self.until, end):
            return True
        return stopping.has_begun(STOPPING_SECONDS) or self.has_gone()

    def look(self) -> Standing:
        """The chat as it stands."""
        return chat.look(self.desk, self.account_id, self.analysis_id)

    def final(self) -> Standing:
        """The chat when it is final. Raises Timeout, Unavailable."""
        left = self.until - time.monotonic()
        found = chat.wait(
            self.desk, self.account_id, self.analysis_id, left, self.is_over, is_new=self.is_new
        )
        if found.state not in FINAL:
            raise self.give_up()
        return found

    def give_up(self) -> VitrineError:
        """The error of a chat that takes too long, which is cancelled if nobody can come back for it."""
        reason = self.look().reason  # such as the endpoint's rate limit
        if self.abandons:
            chat.abandon(self.desk, self.account_id, self.analysis_id)
        if stopping.has_begun(STOPPING_SECONDS):
            return Unavailable("This server stops: send the request again.", retry_after=1.0)
        message = f"The answer did not come in time. {reason}" if reason else None
        return Timeout(message, details={"analysis_id": self.analysis_id})

    def without_hurry(self) -> Waiting:
        """The same for an answer that has begun: it takes the time that it takes."""
        return replace(self, until=inf)


def waiting_for(analysis_id: str) -> Waiting:
    """The client of this request, which waits for what it asked."""
    sent = once()
    return Waiting(
        desk=desk(),
        account_id=key().account_id,
        analysis_id=analysis_id,
        until=time.monotonic() + desk().settings.chat_timeout,
        has_gone=watch_for_hang_up(),
        is_new=sent is None or not sent.replayed,
        abandons=sent is None,
    )


def answer(found: Standing) -> Response:
    """What it came to, in the words of the endpoint."""
    status, body = replies.answered(found)
    response = jsonify(body)
    response.status_code = status
    return response


@contextmanager
def place() -> Iterator[None]:
    """A place to wait in. Raises StreamsFull before anything is asked."""
    with streams().place() as taken:
        if not taken:
            raise StreamsFull(retry_after=RETRY_AFTER)
        yield

"""A conversation: messages in, answers out."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from cli import wording
from cli.chat.client import ChatClient, Message, Session
from cli.chat.listening import heard
from cli.chat.telling import Telling, Told
from cli.connection import Refused
from cli.failure import Failure, Interrupted, Unreachable
from cli.following import Connect
from cli.local_file import LocalFile
from cli.multipart import StoppedSending
from cli.terminal import Screen

PROMPT = "> "
INTERRUPTED = 130
"""Exit status of a question that was stopped."""
RECALLED = 6
"""Messages that are shown of a session that goes on."""
RECALLED_CHARACTERS = 400


class Talk:
    """One conversation on a terminal, or one question."""

    def __init__(
        self, client: ChatClient, screen: Screen, session: Session, options: dict[str, Any], *, is_new: bool
    ) -> None:
        self._client = client
        self._is_new = is_new
        self._screen = screen
        self._session = session
        self._options = options
        self._answers = 0
        self._spent: float | None = 0.0
        self.has_stopped = False
        """Whether the last answer was stopped, so that the next Ctrl-C is the second."""

    def ask(self, message: str, images: Sequence[LocalFile]) -> Told:
        """Say something and print the answer. Raises Refused, Unreachable."""
        fields = {"session_id": self._session["id"], "message": message, **self._options}
        once = f"cli-{uuid.uuid4().hex}"
        return self._tell(lambda last: self._client.speak(fields, images, once, last))

    def recall(self) -> None:
        """Show how far a session has come, and the answer that it is still making."""
        for message in self._client.last(self._session["id"], RECALLED):
            for line in _recalled(message):
                self._screen.note(line)
        if answering := self._session.get("answering"):
            self._tell(lambda last: self._client.follow(answering, last))

    def drop_if_empty(self) -> bool:
        """Whether nothing was said in a session that was begun here: then it is not left behind."""
        with contextlib.suppress(Refused, Unreachable):
            if self._is_new and not self._client.one(self._session["id"])["message_count"]:
                self._client.delete(self._session["id"])
                return True
        return False

    def tell_how_to_go_on(self) -> None:
        """Name the session, and what was spent on it so far."""
        spent = wording.amount(self._spent, "USD")
        so_far = f"{wording.count(self._answers, 'answer')}, {spent}. " if self._answers > 1 else ""
        self._screen.note(f"{so_far}To go on: vitrine chat --session {self._session['id']}")

    def _tell(self, connect: Connect) -> Told:
        self._client.interrupt.asked = False
        with self._client.interrupt.listening():
            told = Telling(self._client, self._screen).tell(heard(connect, self._client))
        self.has_stopped = told.stopped
        self._bill(told)
        return told

    def _bill(self, told: Told) -> None:
        if told.answer is not None:
            self._answers += 1
            cost = (told.answer.get("cost") or {}).get("total_cost")
            self._spent = None if cost is None or self._spent is None else self._spent + cost
            self._screen.note(f"({wording.bill(told.answer)})")
        elif told.stopped:
            leaves = " Ctrl-C again leaves." if sys.stdin.isatty() else ""
            self._screen.note(f"Stopped. What was asked by then may still cost something.{leaves}")
        elif told.problem is not None and sys.stdin.isatty():
            self._screen.note(told.problem)


def one_question(talk: Talk, message: str, images: Sequence[LocalFile]) -> int:
    """Ask what came through a pipe; the exit status. Raises Failure."""
    try:
        told = talk.ask(message, images)
    except (Refused, StoppedSending) as problem:
        talk.drop_if_empty()
        if isinstance(problem, Refused):
            raise
        raise Interrupted("Stopped before anything was asked.") from None
    if told.problem is not None:
        Failure(told.problem).show()
    talk.tell_how_to_go_on()
    return INTERRUPTED if told.stopped else int(told.problem is not None)


def _recalled(message: Message) -> Iterator[str]:
    """A message as it was, but for its length; and why there is no answer, or not all of it."""
    said = message["content"] or ""
    short = said if len(said) <= RECALLED_CHARACTERS else f"{said[:RECALLED_CHARACTERS]} …"
    if short:
        yield f"{PROMPT}{short}" if message["role"] == "user" else short
    if message["role"] == "assistant" and message["error"]:
        yield f"({wording.one_line(message['error']['message'])})"

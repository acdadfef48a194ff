"""A conversation: messages in, answers out, until the user leaves."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from cli import wording
from cli.chat.client import ChatClient, Message, Session
from cli.chat.listening import Connect, heard
from cli.chat.telling import Telling, Told
from cli.connection import Refused
from cli.failure import Failure, Interrupted, Unreachable
from cli.images import look_at
from cli.local_file import LocalFile
from cli.multipart import StoppedSending
from cli.terminal import Screen

PROMPT = "> "
COMMAND = "/"
SHOW, ASKS_HELP = f"{COMMAND}image", f"{COMMAND}help"
HELP = (
    f"{SHOW} FILE... shows photos with your next message; a space before the {COMMAND} makes a message of it."
)
RECALLED = 6
"""Messages that are shown of a session that goes on."""
RECALLED_CHARACTERS = 400
HINT = f"Ctrl-C stops an answer, the next one leaves, as does Ctrl-D; {SHOW} FILE... shows a photo."


class Talk:
    """One conversation on a terminal, or one question."""

    def __init__(self, client: ChatClient, screen: Screen, session: Session, options: dict[str, Any]) -> None:
        self._client = client
        self._screen = screen
        self._session = session
        self._options = options
        self._answers = 0
        self._spent: float | None = 0.0
        self._has_stopped = False
        """Whether the last answer was stopped, so that the next Ctrl-C is the second."""

    def ask(self, message: str, images: Sequence[LocalFile]) -> Told:
        """Say something and print the answer. Raises Refused, Unreachable."""
        fields = {"session_id": self._session["id"], "message": message, **self._options}
        once = f"cli-{uuid.uuid4().hex}"
        return self._tell(lambda last: self._client.speak(fields, images, once, last))

    def recall(self) -> None:
        """Show how far a session has come, and the answer that it is still making."""
        for message in self._client.last(self._session["id"], RECALLED):
            if message["content"]:
                self._screen.note(_recalled(message))
        if answering := self._session.get("answering"):
            self._tell(lambda last: self._client.follow(answering, last))

    def converse(self, images: Sequence[LocalFile]) -> None:
        """Talk until the user leaves."""
        self._screen.note(HINT)
        with contextlib.suppress(ImportError):  # not everywhere
            import_module("readline")  # lines can be edited and called back from then on
        shown = list(images)
        # One that comes just after an answer is nothing to die of; a second one leaves wherever it comes.
        with contextlib.suppress(KeyboardInterrupt), self._client.interrupt.listening():
            while (line := self._line()) is not None:
                if line.startswith(COMMAND):
                    shown += self._obey(*line.split())
                elif line.strip() and self._heard(line, shown):
                    shown = []
        self._farewell()

    def _heard(self, message: str, images: Sequence[LocalFile]) -> bool:
        """Whether a message was answered; one that was not does not go along, and its photos wait."""
        try:
            return self.ask(message, images).answer is not None
        except (Refused, Unreachable) as problem:
            self._screen.note(wording.one_line(problem.message))
            return False
        except StoppedSending:
            self._screen.note("Stopped before anything was asked.")
            return False

    def _tell(self, connect: Connect) -> Told:
        self._client.interrupt.asked = False
        with self._client.interrupt.listening():
            told = Telling(self._client, self._screen).tell(
                heard(connect, self._client.interrupt, self._client.say)
            )
        self._has_stopped = told.stopped
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
            self._screen.note(f"There is no answer: {told.problem}")

    def _line(self) -> str | None:
        """What the user types; None when they leave, by a second Ctrl-C or the end of the input."""
        first = () if self._has_stopped else ("\nCtrl-C again leaves.",)
        self._has_stopped = False
        with contextlib.suppress(EOFError):
            for words in (*first, ""):
                try:
                    with self._client.interrupt.raising():
                        return input(PROMPT)
                except KeyboardInterrupt:
                    self._screen.note(words)
            return None
        click.echo()
        return None

    def _obey(self, command: str, *words: str) -> list[LocalFile]:
        """Do what a line asks of this program, which is no message; the photos that it shows."""
        if command == SHOW and words:
            return self._images(words)
        known = command in {SHOW, ASKS_HELP}
        self._screen.note(HELP if known else f"There is no command {wording.printable(command)}. {HELP}")
        return []

    def _images(self, paths: Sequence[str]) -> list[LocalFile]:
        try:
            found = look_at(paths)
        except click.UsageError as problem:
            self._screen.note(problem.message)
            return []
        if found:
            self._screen.note(f"{wording.count(len(found), 'photo')} will go with your next message.")
        return found

    def _farewell(self) -> None:
        spent = wording.amount(self._spent, "USD")
        so_far = f"{wording.count(self._answers, 'answer')}, {spent}. " if self._answers else ""
        self._screen.note(f"{so_far}To go on: vitrine chat --session {self._session['id']}")


def one_question(talk: Talk, message: str, images: Sequence[LocalFile]) -> int:
    """Ask what came through a pipe; the exit status. Raises Failure."""
    if not message.strip():
        raise click.UsageError("Standard input is empty: pipe a question into the command.")
    try:
        told = talk.ask(message, images)
    except StoppedSending:
        raise Interrupted("Stopped before anything was asked.") from None
    if told.stopped:
        return 130
    if told.problem is not None:
        raise Failure(told.problem)
    return 0


def _recalled(message: Message) -> str:
    text = message["content"]
    short = text if len(text) <= RECALLED_CHARACTERS else f"{text[:RECALLED_CHARACTERS]} …"
    return f"{PROMPT}{short}" if message["role"] == "user" else short

"""What a user types on a terminal, line by line, until they leave."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib import import_module

import click

from cli import wording
from cli.chat.talk import PROMPT, Talk
from cli.connection import Refused
from cli.failure import Unreachable
from cli.images import look_at
from cli.interrupt import Interrupt
from cli.local_file import LocalFile
from cli.multipart import StoppedSending
from cli.terminal import Screen

COMMAND = "/"
SHOW, ASKS_HELP = f"{COMMAND}image", f"{COMMAND}help"
HELP = (
    f"{SHOW} FILE... shows photos with your next message; a space before the {COMMAND} makes a message of it."
)
HINT = f"Ctrl-C stops an answer, the next one leaves, as does Ctrl-D; {SHOW} FILE... shows a photo."
ABOUT_PHOTOS = {"invalid_image", "unsupported_media_type", "file_too_large"}
"""Refusals of photos, which would be refused again."""


class Lines:
    """A conversation on a terminal."""

    def __init__(self, talk: Talk, screen: Screen, interrupt: Interrupt) -> None:
        self._talk = talk
        self._screen = screen
        self._interrupt = interrupt

    def converse(self, images: Sequence[LocalFile]) -> None:
        """Talk until the user leaves."""
        self._screen.note(HINT)
        with contextlib.suppress(ImportError):  # not everywhere
            import_module("readline")  # lines can be edited and called back from then on
        shown = list(images)
        # One that comes just after an answer is nothing to die of; a second one leaves wherever it comes.
        with contextlib.suppress(KeyboardInterrupt), self._interrupt.listening():
            while (line := self._line()) is not None:
                if line.startswith(COMMAND):
                    shown += self._obey(*line.split())
                elif line.strip() and self._heard(line, shown):
                    shown = []
        if not self._talk.drop_if_empty():
            self._talk.tell_how_to_go_on()

    def _heard(self, message: str, images: Sequence[LocalFile]) -> bool:
        """Say something; whether its photos are done with. They wait for a message that is answered."""
        try:
            return self._talk.ask(message, images).answer is not None
        except (Refused, Unreachable) as problem:
            self._screen.note(wording.one_line(problem.message))
            return isinstance(problem, Refused) and problem.code in ABOUT_PHOTOS
        except StoppedSending:
            self._screen.note("Stopped before anything was asked.")
            return False

    def _line(self) -> str | None:
        """What the user types; None when they leave, by a second Ctrl-C or the end of the input."""
        first = () if self._talk.has_stopped else ("\nCtrl-C again leaves.",)
        self._talk.has_stopped = False
        with contextlib.suppress(EOFError):
            for words in (*first, ""):
                try:
                    with self._interrupt.raising():
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

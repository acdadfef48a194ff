"""One answer on its way to the terminal, piece by piece as it is made."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from cli import wording
from cli.chat.client import ChatClient
from cli.following import News
from cli.terminal import Screen


@dataclass(slots=True)
class Told:
    """What came of a message."""

    analysis_id: str | None = None
    answer: dict[str, Any] | None = None
    problem: str | None = None
    """Why there is no answer, or not all of it."""
    stopped: bool = False
    text: str = ""


class Telling:
    """Tells one answer."""

    def __init__(self, client: ChatClient, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self.told = Told()
        self._has_tried = False
        """Whether it was to be stopped."""

    def tell(self, events: Iterable[News | None]) -> Told:
        """Print the answer as it comes; on Ctrl-C it is stopped. Raises as the events do."""
        with ExitStack() as waiting:
            waiting.enter_context(self._screen.spinner("Waiting for the answer", self._client.interrupt))
            try:
                for event in events:
                    if event is not None and event.name == "token":
                        waiting.close()
                    self._take(event)
                    if self.told.stopped:  # what the worker still hands in is kept, and nobody waits for it
                        break
            finally:
                waiting.close()
                self._end_line()
        return self.told

    def _take(self, event: News | None) -> None:
        if event is not None:
            self._hear(event.name, event.data)
        if self._client.interrupt.asked and self.told.analysis_id and not self._has_tried:
            self._has_tried = True
            self.told.stopped = self._client.cancel(self.told.analysis_id)

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        if name == "status":
            self.told.analysis_id = data.get("id")
        elif name == "token":
            self._write(data["text"])
        elif name == "result":
            self.told.answer = data
            if not data.get("streamed", True):  # it was made anew, and differs from what was told
                self._write(f"\n\n{data.get('content') or data.get('answer') or ''}")
        elif name == "error":
            self.told.problem = wording.one_line(data.get("error"))

    def _write(self, text: str) -> None:
        shown = wording.printable(text)
        self.told.text += shown
        sys.stdout.write(shown)
        sys.stdout.flush()

    def _end_line(self) -> None:
        if self.told.text and not self.told.text.endswith("\n"):
            self._write("\n")

"""Answers told while they are being made, to whoever follows them; all calls of a process in one go.

A thread of its own talks to Redis: the event loop that reads the endpoint's streams never waits for it, and
hundreds of streams cost it no more trips than one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from core.events import Added, Addition, Events
from core.live_text import START, Part, Pieces

PREPARING, ASKING = "preparing", "asking"
LOOK_SECONDS = 1.0
"""Between two looks whether an analysis is still wanted."""
PACE_SECONDS, LONGEST_PACE = 0.001, 0.2
"""Between two trips to Redis, for each of those told in the last: what comes meanwhile goes together."""
TOLD_SECONDS = 2.0
"""How long a call waits until its end is told."""

log = structlog.get_logger(__name__)


class Unwanted(Exception):
    """The analysis is final: nobody waits for the rest of this answer."""


class News(Protocol):
    """What a teller is to tell."""

    def take(self) -> Addition:
        """What is new."""

    def told(self, added: Added | None) -> bool:
        """Take note of what became of it, None without Redis; whether to tell it again at once."""


class Teller:
    """Tells what the calls of one process have to tell."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: dict[News, None] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def stage(self, analysis_id: str, stage: str) -> None:
        """Tell how far an analysis is."""
        self.signal(Stage(analysis_id, stage))

    def signal(self, news: News) -> None:
        """There is something to tell. Never waits."""
        with self._changed:
            self._waiting[news] = None
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="teller", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                news, self._waiting = list(self._waiting), {}
            self._tell(news)
            time.sleep(min(LONGEST_PACE, PACE_SECONDS * len(news)))

    def _tell(self, news: list[News]) -> None:
        try:
            added = self._events.append([one.take() for one in news])
            for place, one in enumerate(news):
                if one.told(added[place] if added else None):
                    self.signal(one)
        except Exception:
            log.exception("telling_broke")  # what comes next must be told all the same


class Stage:
    """How far an analysis is."""

    def __init__(self, analysis_id: str, stage: str) -> None:
        self._addition = Addition(analysis_id, {"stage": stage}, begins=True, looks=True)

    def take(self) -> Addition:
        """The stage."""
        return self._addition

    def told(self, _added: Added | None) -> bool:
        """It may be lost: whoever looks finds how the analysis stands in the database."""
        return False


class Telling:
    """The answer of one call, piece by piece.

    Where the log is lost, it is told from its beginning once more: every part says where it begins, so that
    nobody takes it for more. `with_chunks` tells the endpoint's own chunks too, numbered.
    """

    def __init__(self, teller: Teller, analysis_id: str, call_id: str, *, with_chunks: bool) -> None:
        self._teller = teller
        self._subject, self._call_id, self._with_chunks = analysis_id, call_id, with_chunks
        self._cleaned = Pieces()
        self._pieces: list[str] = []
        self._chunks: list[Mapping[str, Any]] = []
        self._place = START
        self._pieces_told = self._chunks_told = 0
        self._taking = (START, 0, 0, False)
        """Where it will be with what was taken last: the place, the counts, whether it is the end."""
        self._looks, self._looked_at = True, 0.0
        self._is_unwanted = self._has_ended = False
        self._settled = threading.Event()

    @property
    def has_begun(self) -> bool:
        """Whether somebody may have seen a part of the answer."""
        return bool(self._pieces or self._chunks)

    @property
    def text(self) -> str:
        """All that came so far."""
        return "".join(self._pieces)

    def tell(self, chunk: Mapping[str, Any]) -> None:
        """Pass a chunk on. Never waits. Raises Unwanted where there is nobody for it."""
        if self._is_unwanted:
            raise Unwanted
        if text := self._cleaned.add(_text(chunk)):
            self._pieces.append(text)
        if self._with_chunks:
            self._chunks.append(chunk)
        if text or self._with_chunks:
            self._teller.signal(self)

    def end(self) -> None:
        """The answer is complete: returns when all is told, so that nothing is told behind its outcome."""
        if not self.has_begun:
            return  # it came in one piece, or with nothing to tell: the database has it
        self._has_ended = True
        self._teller.signal(self)
        self._settled.wait(TOLD_SECONDS)

    def take(self) -> Addition:
        """What is new since the last time."""
        pieces, chunks, has_ended = len(self._pieces), len(self._chunks), self._has_ended
        part = Part(self._place, "".join(self._pieces[self._pieces_told : pieces]))
        fields = {**part.fields(), "call": self._call_id, "last": int(has_ended)}
        if self._with_chunks:
            new = self._chunks[self._chunks_told : chunks]
            fields |= {"number": self._chunks_told, "chunks": json.dumps(new)}
        self._taking = (part.place.behind(part.text), pieces, chunks, has_ended)
        self._looks = time.monotonic() - self._looked_at > LOOK_SECONDS
        is_first = self._pieces_told == self._chunks_told == 0
        return Addition(self._subject, fields, begins=is_first, looks=self._looks)

    def told(self, added: Added | None) -> bool:
        """Go on behind what was taken, or from the beginning where the log is lost."""
        if added is None:
            self._settled.set()
            return False
        if not added.taken:
            self._place, self._pieces_told, self._chunks_told = START, 0, 0
            return True
        self._place, self._pieces_told, self._chunks_told, is_end = self._taking
        if self._looks:
            self._looked_at, self._is_unwanted = time.monotonic(), added.is_final
        if is_end:
            self._settled.set()
        return False


def _text(chunk: Mapping[str, Any]) -> str:
    """What a chunk adds to the first choice's text."""
    choice = next(iter(chunk["choices"]), None)
    if choice is None or choice.get("index", 0) != 0:
        return ""
    content = (choice.get("delta") or {}).get("content")
    return content if isinstance(content, str) else ""

"""An analysis followed live: how far it is, its text piece by piece, what came of it.

The id of an event says all that its client has been told: of which analysis, the stage, and the place in the
text. So any process goes on behind it, from the log while the answer is made or from the database
afterwards; see docs/decisions/0021-token-streams.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.desk import Desk
from core.errors import NotFound, Unavailable, VitrineError, from_code
from core.live_text import START, Part, Place
from core.models import Analysis
from core.services import analyses
from core.states import FINAL, AnalysisState
from webapp import present, stopping
from webapp.hearing import Hearing
from webapp.schemas.analyses import AnalysisView
from webapp.streams import FAREWELL, HEARTBEAT, HEARTBEAT_SECONDS, event

QUEUED, PREPARING, ASKING = STAGES = ("queued", "preparing", "asking")
RESULT, DONE = "result", "done"
EVENT_ID = re.compile(rf"(an_[0-9a-z]+)\.(|{'|'.join((*STAGES, RESULT, DONE))})\.(.+)", re.ASCII)
WAIT_SECONDS = 1.0
"""Between two looks whether the client is still there."""
LOOK_SECONDS = 2.0
"""How long silence is believed before the database is asked."""
LET_GO_SECONDS = 0.1
"""Between two looks whether a worker has let go."""
OVER_ITS_HEAD = {AnalysisState.CANCELLED, AnalysisState.EXPIRED}
"""How an analysis ends without the worker that asks for it."""
PIECE = re.compile(r".{1,2000}", re.DOTALL)
"""Of a stored text, in one event."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a client has been told of an analysis: a stage, and the text up to a place."""

    analysis_id: str
    stage: str = ""
    place: Place = START

    def __str__(self) -> str:
        return f"{self.analysis_id}.{self.stage}.{self.place}"

    @classmethod
    def read(cls, last_event_id: str) -> Told | None:
        """What the id of an event says; None for what never was one."""
        match = EVENT_ID.fullmatch(last_event_id)
        place = Place.read(match[3]) if match else None
        return cls(match[1], match[2], place) if match and place else None


Shown = Callable[[Analysis], dict[str, Any]]
"""What a `result` event shows of a completed analysis; `streamed` is added to it."""


def result(found: Analysis) -> dict[str, Any]:
    """All of it, as `GET /analyses/{id}` shows it."""
    return dict(AnalysisView().dump(present.analysis(found)))


class TokenStream:
    """The events of one analysis for one client."""

    def __init__(
        self,
        desk: Desk,
        hearing: Hearing,
        found: Analysis,
        told: Told,
        has_left: Callable[[], bool],
        *,
        cancels: bool = False,
        shown: Shown = result,
    ) -> None:
        self._desk, self._hearing = desk, hearing
        self._account_id, self._id = found.account_id, found.id
        self._state = AnalysisState(found.state)
        self._told = told
        self._has_left = has_left
        self._cancels = cancels
        """Whether the analysis is cancelled when its client leaves."""
        self._shown = shown
        self._sent_at = time.monotonic()

    def events(self) -> Iterator[str]:
        """Everything behind what was told, each once, up to `done`, or until client or process go."""
        try:
            yield from self._live()
            self._await_text()
            if stopping.has_begun():
                yield FAREWELL
            elif self._has_left():
                self._leave()
            else:
                yield from self._end(analyses.get(self._desk, self._account_id, self._id))
        except NotFound:
            return  # deleted: who connects again is told so
        except Unavailable:
            yield FAREWELL
        except GeneratorExit:  # the client went while something was sent
            self._leave()
            raise

    def _live(self) -> Iterator[str]:
        """What is told until the analysis is final."""
        looked_at, read = time.monotonic(), 0
        # The head of an answer leaves with its first bytes.
        yield HEARTBEAT + self._stage(self._stage_of(self._state))
        if self._state in FINAL:
            return
        with self._hearing.following(self._id) as log:
            while self._state not in FINAL and not stopping.has_begun() and not self._has_left():
                new = log.after(read, WAIT_SECONDS)
                read += len(new)
                yield from self._sent(self._news(new))
                if log.is_over or (not new and time.monotonic() - looked_at > LOOK_SECONDS):
                    self._state, looked_at = self._look(), time.monotonic()
                    yield from self._sent(self._stage(self._stage_of(self._state)))

    def _await_text(self) -> None:
        """Wait for what a worker still holds of an answer that was ended over its head."""
        if self._state not in OVER_ITS_HEAD:
            return
        while analyses.text_is_due(self._desk, self._id) and not (stopping.has_begun() or self._has_left()):
            time.sleep(LET_GO_SECONDS)

    def _look(self) -> AnalysisState:
        return analyses.state(self._desk, self._account_id, self._id)

    def _stage_of(self, state: AnalysisState) -> str:
        """The stage, as far as the database knows of it."""
        if state == AnalysisState.QUEUED:
            return QUEUED
        known = state in FINAL or self._told.stage in {PREPARING, ASKING}
        return self._told.stage if known else PREPARING

    def _sent(self, text: str) -> Iterator[str]:
        """The text if there is one, else a heartbeat if it is time."""
        if not text and time.monotonic() - self._sent_at > HEARTBEAT_SECONDS:
            text = HEARTBEAT
        if text:
            self._sent_at = time.monotonic()
            yield text

    def _news(self, entries: Sequence[dict[str, str]]) -> str:
        """What entries of the log have for this client."""
        stages = [fields["stage"] for fields in entries if "stage" in fields]
        if self._told.stage in stages:  # a log is read from its beginning, by who comes back too
            stages = stages[len(stages) - stages[::-1].index(self._told.stage) :]
        place, text = self._told.place, ""
        for part in self._readable([Part.of(fields) for fields in entries if "text" in fields]):
            rest = part.rest(place) or ""
            place, text = place.behind(rest), text + rest
        return "".join(map(self._stage, stages)) + self._token(text)

    def _readable(self, parts: list[Part]) -> list[Part]:
        """Of an answer that was begun more than once the last, for a client that has seen nothing of it."""
        if self._told.place != START:
            return parts
        begun = [place for place, part in enumerate(parts) if part.place == START]
        return parts[begun[-1] :] if begun else parts

    def _stage(self, stage: str) -> str:
        if stage == self._told.stage:
            return ""
        self._told = replace(self._told, stage=stage)
        return self._event("status", {"id": self._id, "status": stage})

    def _token(self, text: str) -> str:
        if not text:
            return ""
        self._told = replace(self._told, place=self._told.place.behind(text))
        return self._event("token", {"text": text})

    def _end(self, found: Analysis) -> Iterator[str]:
        """The rest of the text, and what came of the analysis; behind that no more text is told."""
        if self._told.stage != RESULT:
            rest = Part(START, found.answer or "").rest(self._told.place)
            yield from map(self._token, PIECE.findall(rest or ""))
            self._told = replace(self._told, stage=RESULT)
            if found.state == AnalysisState.COMPLETED:
                yield self._event("result", self._shown(found) | {"streamed": rest is not None})
            else:
                yield self._event("error", _problem(found))
        self._told = replace(self._told, stage=DONE)
        yield self._event("done", {"id": self._id, "status": found.state})

    def _event(self, name: str, data: dict[str, Any]) -> str:
        return event(name, data, str(self._told))

    def _leave(self) -> None:
        """The client is gone. One that finds another process when this one stops has not left."""
        if self._cancels and not stopping.has_begun():
            with suppress(VitrineError):  # it is final, or deleted, or waits for its deadline
                analyses.cancel(self._desk, self._account_id, self._id)


def _problem(found: Analysis) -> dict[str, Any]:
    error = from_code(found.error_code, found.error_message or found.reason, {})
    return {"id": found.id, "status": found.state, "error": error.message, "error_code": error.code}

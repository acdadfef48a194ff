"""Tells in one line that a process died and was started again, from what supervisord logs."""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

EXITED = re.compile(r"exited: (?P<name>\S+) \((?P<reason>[^;]+)")
SPAWNED = re.compile(r"spawned: '(?P<name>[^']+)' with pid (?P<pid>\d+)")
GAVE_UP = re.compile(r"gave up: (?P<name>\S+)")
POLL_SECONDS = 0.3


class DeathWatch(threading.Thread):
    """Follows supervisord's log from its present end and says what a person wants to know."""

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._log = log
        self._say = say
        self._enough = threading.Event()
        self._start = log.stat().st_size if log.exists() else 0

    def run(self) -> None:
        """Until stop() is called."""
        translator = Translator()
        for line in self._lines():
            if sentence := translator.sentence(line):
                self._say(sentence)

    def stop(self) -> None:
        """Stop watching: the deaths from now on are wanted."""
        self._enough.set()

    def _lines(self) -> Iterator[str]:
        file = self._log.open(errors="replace")
        file.seek(self._start)
        while not self._enough.wait(POLL_SECONDS):
            yield from file
            if _was_rotated(file, self._log):
                yield from file
                file.close()
                file = self._log.open(errors="replace")
        file.close()


def _was_rotated(file: TextIO, log: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(file.fileno()), log.stat())
    except OSError:
        return False


class Translator:
    """Remembers why processes died until they are started again."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def sentence(self, line: str) -> str | None:
        """What a line of supervisord's log means to a person, if anything."""
        if died := EXITED.search(line):
            self._reasons[died["name"]] = _readable(died["reason"])
        elif (started := SPAWNED.search(line)) and (reason := self._reasons.pop(started["name"], None)):
            return f"{started['name']} died ({reason}); started again as pid {started['pid']}"
        elif gone := GAVE_UP.search(line):
            return f"{gone['name']} keeps dying and was given up; see its log, then start Vitrine again"
        return None


def _readable(reason: str) -> str:
    """'terminated by SIGKILL' as 'signal 9', 'exit status 1' as it is."""
    name = reason.removeprefix("terminated by ").split()[0]
    if name in signal.Signals.__members__:
        return f"signal {signal.Signals[name].value}"
    return reason

"""A file of this machine that is to be sent."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from cli.failure import Failure


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that was looked at."""

    path: str
    """As it was given."""
    name: str
    byte_size: int
    source: Path
    """Where its bytes are."""

    def open(self) -> BufferedReader:
        """Its bytes. Raises Failure, also for a named pipe, which would wait for a writer."""
        try:
            if not stat.S_ISREG(self.source.stat().st_mode):
                raise Failure(f"{self.path} is not a file with content.")
            return self.source.open("rb")
        except OSError as problem:
            raise Failure(f"{self.path} cannot be read: {problem.strerror}.") from problem

"""Ctrl-C: the first one asks for an orderly end, the second one ends the command."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

SLICE = 0.1
"""Seconds after which a sleeper looks whether it should go on sleeping."""


class Interrupt:
    """Whether to stop; threads look at it between their steps.

    A plain flag: the handler runs between any two steps of the main thread, where taking a lock
    that this thread may hold would hang.
    """

    def __init__(self) -> None:
        self.asked = False
        self._raises = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for the length of a block; not where the shell made Ctrl-C ignored, as for jobs behind &."""
        before = signal.getsignal(signal.SIGINT)
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Let the first one raise KeyboardInterrupt, too: for what waits for the user."""
        self.asked, self._raises = False, True
        try:
            yield
        finally:
            self._raises = False

    def sleep(self, seconds: float) -> None:
        """Sleep, but not through an interrupt."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))

    def _handle(self, *_: Any) -> None:
        if self.asked or self._raises:
            raise KeyboardInterrupt
        self.asked = True

"""Who works beside others in this process, and who works alone.

What two workers died with may have killed them, or have stood beside what did. Its last try is made with
nothing beside it: if that worker dies too, it is the guilty one, and no neighbour fails with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Isolation:
    """A lock that many may hold together, or one alone; whoever wants to be alone goes before new ones."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._together = 0
        self._is_alone = False
        self._wanting = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Be one of many."""
        with self._change:
            self._change.wait_for(lambda: not self._is_alone and not self._wanting)
            self._together += 1
        try:
            yield
        finally:
            with self._change:
                self._together -= 1
                self._change.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one; waits until the others have ended."""
        with self._change:
            self._wanting += 1
            self._change.wait_for(lambda: not self._is_alone and not self._together)
            self._wanting -= 1
            self._is_alone = True
        try:
            yield
        finally:
            with self._change:
                self._is_alone = False
                self._change.notify_all()

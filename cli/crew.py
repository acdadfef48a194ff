"""Work done by several threads, its results taken in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 8
"""Items for each thread that are begun, or done, before the first result in line is taken."""


class Crew(Generic[Item, Result]):
    """Iterates over results in the order of the items, with few of either in memory.

    The threads are daemons: a second Ctrl-C does not wait for them, as it would for those of an executor.
    """

    def __init__(self, work: Callable[[Item], Result], items: Iterable[Item], size: int) -> None:
        self._work = work
        self._items = iter(items)
        self._size = size
        self._jobs: SimpleQueue[tuple[Item, Future[Result]]] = SimpleQueue()
        self._line: deque[Future[Result]] = deque()

    def __iter__(self) -> Iterator[Result]:
        for _ in range(self._size):
            Thread(target=self._labour, daemon=True).start()
        self._fill()
        while self._line:
            result = self._line.popleft().result()
            self._fill()
            yield result

    def _fill(self) -> None:
        while len(self._line) < self._size * AHEAD:
            for item in self._items:
                future: Future[Result] = Future()
                self._line.append(future)
                self._jobs.put((item, future))
                break
            else:
                return

    def _labour(self) -> None:
        while True:
            item, future = self._jobs.get()
            try:
                future.set_result(self._work(item))
            except BaseException as problem:  # noqa: BLE001 - raised again where the result is taken
                future.set_exception(problem)

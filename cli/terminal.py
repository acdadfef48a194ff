"""Results go to standard output; what people see while they wait, and all else, to standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from cli.interrupt import Interrupt
from cli.wording import printable

PIPED_COLUMNS = 120
STOPPING = "Stopping; Ctrl-C again leaves at once"


class Screen:
    """The two streams of a command; nothing moves and no colour shows on one that is not a terminal."""

    def __init__(self) -> None:
        self._errors = Console(stderr=True, markup=False, highlight=False, emoji=False)
        wide = None if sys.stdout.isatty() else PIPED_COLUMNS
        self._results = Console(width=wide, markup=False, highlight=False, emoji=False)

    @property
    def columns(self) -> int:
        """How wide a table may be."""
        return self._results.width

    def note(self, sentence: str) -> None:
        """Say something beside the result."""
        self._errors.print(printable(sentence), soft_wrap=True)

    @contextlib.contextmanager
    def spinner(self, words: str, interrupt: Interrupt) -> Iterator[None]:
        """Show that something is going on, or is about to end."""
        if not self._errors.is_terminal:
            yield
            return
        with Status(_Doing(words, interrupt), console=self._errors):
            yield

    @contextlib.contextmanager
    def bar(
        self, words: str, total: int, interrupt: Interrupt, *, beside_rows: bool
    ) -> Iterator[Callable[[], None]]:
        """Give what advances a progress bar; there is none where rows go to the same terminal meanwhile."""
        columns = (_DoingColumn(words, interrupt), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with self.progress(*columns, total=total, hidden=beside_rows and sys.stdout.isatty()) as update:
            yield lambda: update(advance=1)

    @contextlib.contextmanager
    def progress(
        self, *columns: ProgressColumn, total: int, hidden: bool = False, **fields: Any
    ) -> Iterator[Callable[..., None]]:
        """Show columns that move, on a terminal only; gives what updates the task that they show."""
        if hidden or not self._errors.is_terminal:
            yield lambda **_: None
            return
        shown = Progress(
            *columns,
            console=self._errors,
            transient=True,
            redirect_stdout=False,  # rows on their way into a file are nothing to show
            redirect_stderr=False,
        )
        with shown:
            task = shown.add_task("", total=total, **fields)
            yield lambda **changes: shown.update(task, **changes)

    def table(self, table: Table) -> None:
        """Print a table as the result."""
        self._results.print(table)


class _Doing:
    """What goes on, looked up whenever it is drawn: nothing may be printed from a signal handler."""

    def __init__(self, words: str, interrupt: Interrupt) -> None:
        self._words = words
        self._interrupt = interrupt

    def __rich__(self) -> Text:
        return Text(STOPPING if self._interrupt.asked else self._words, no_wrap=True)


class _DoingColumn(ProgressColumn):
    """The same before a progress bar, which has room for a word."""

    def __init__(self, words: str, interrupt: Interrupt) -> None:
        super().__init__()
        self._words = words
        self._interrupt = interrupt

    def render(self, task: Task) -> Text:  # noqa: ARG002 - rich's signature
        """The word of this moment."""
        return Text(STOPPING.partition(";")[0] if self._interrupt.asked else self._words)

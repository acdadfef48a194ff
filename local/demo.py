"""The demo: sample photos through the public HTTP API, and their answers as a table."""

import shlex
import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local import results, terminal
from local.asking import Desk, Outcome
from local.console import say
from local.home import Home
from local.samples import Sample, draw_samples
from local.stack import Stack

INTERRUPTED = 130  # what a shell makes of Ctrl-C; not every photo was answered
PIPED_COLUMNS = 120


def demo(*, leave: bool) -> int:
    """Start a stack and put the samples through it; then leave, or stay until interrupted.

    Returns 0 if every photo was answered, 1 if not. Raises LocalError if the stack does not start.
    """
    return terminal.run_stack(partial(_show, leave=leave), interrupted=INTERRUPTED if leave else 0)


def _show(started: Stack, home: Home, *, leave: bool) -> int:
    console = Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS)
    desk = Desk(started.addresses.url, started.addresses.api_key)
    samples = draw_samples(home.path / "samples")
    outcomes = _ask(desk, samples, console)
    console.print(results.table(outcomes, console.width))
    if not leave:
        terminal.show_addresses(started.addresses, home)
        say(_invitation(desk.url, home))
        started.wait()
    return 0 if outcomes and all(outcome.answered for outcome in outcomes) else 1


def _ask(desk: Desk, samples: Sequence[Sample], console: Console) -> list[Outcome]:
    """Every sample's outcome in the samples' order, with a progress bar while they come."""
    columns = (TextColumn("Asking about the photos"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    order = {sample.name: position for position, sample in enumerate(samples)}
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(samples))
        outcomes = []
        for outcome in desk.ask_all(samples):
            outcomes.append(outcome)
            progress.advance(bar)
    return sorted(outcomes, key=lambda outcome: order[outcome.sample.name])


def _invitation(url: str, home: Home) -> str:
    """A command to paste that asks about a photo of one's own."""
    return f"""
Ask about one of them, or about a photo of your own:

  KEY=$(cat {shlex.quote(str(home.api_key))})
  curl {url}/api/v1/image/analyze -H "Authorization: Bearer $KEY" \\
    -F file=@{shlex.quote(str(home.path / "samples" / "mug.jpg"))} -F question="What colour is it?"

Ctrl-C stops everything."""

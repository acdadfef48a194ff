"""vitrine index: what similar images are found by."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from cli import wording
from cli.embedding import embed_missing
from cli.embedding_index import index_embeddings
from cli.failure import Failure
from cli.interrupt import Interrupt
from cli.operator import desk
from cli.terminal import Screen
from core.desk import Desk
from core.services import indexing

AT_ONCE = 200
"""Images that workers are rung for before the first of them is done."""
PATIENCE_SECONDS = 60.0
"""Without any progress, after which no worker seems to listen."""
LOOK_SECONDS = 0.2
NO_MODEL = "No SIMILAR_EMBEDDING_MODEL is set here: only measures were looked after, no embeddings."


@click.group()
def index() -> None:
    """Look after the index that similar images are found by."""


@index.command()
def rebuild() -> int:
    """Have workers measure every stored image that is not in the index, or by an older measure.

    Where SIMILAR_EMBEDDING_MODEL is set here, as for the server, images that lack an embedding are embedded
    too, by calls that cost, and those of large accounts are indexed.
    It may be stopped and started again at any time: what is done stays done, and is not done twice.
    """
    opened, screen, interrupt = desk(), Screen(), Interrupt()
    with interrupt.listening():
        _measure_missing(opened, screen, interrupt)
        if not opened.settings.similar_embedding_model:
            screen.note(NO_MODEL)
        elif not interrupt.asked:
            embed_missing(opened, screen, interrupt)
            if not interrupt.asked:
                index_embeddings(opened, screen, interrupt)
    return 130 if interrupt.asked else 0


def _measure_missing(opened: Desk, screen: Screen, interrupt: Interrupt) -> None:
    indexing.complete(opened)
    total = indexing.count_unmeasured(opened)
    with screen.bar("Measuring", total, interrupt, beside_rows=False) as advance:
        done, bad = _measure_all(opened, interrupt, advance)
    if bad:
        screen.note(f"{wording.count(bad, 'image')} could not be decoded, and will not be found.")
    if interrupt.asked:
        screen.note(f"Stopped after {wording.count(done, 'image')}; run it again to go on.")
    elif done:
        screen.note(f"{wording.count(done - bad, 'image')} measured.")
    else:
        screen.note("Every image is in the index.")


def _measure_all(opened: Desk, interrupt: Interrupt, advance: Callable[[], None]) -> tuple[int, int]:
    """Ring for a few at a time, in the order of their digests; how many are done, how many of them bad."""
    done, bad, behind = 0, 0, ""
    while not interrupt.asked and (digests := indexing.unmeasured(opened, behind, AT_ONCE)):
        indexing.ring(opened, digests, waiting=False)
        done += _wait(opened, digests, interrupt, advance)
        bad += indexing.count_unmeasurable(opened, digests)
        behind = digests[-1]
    return done, bad


def _wait(opened: Desk, digests: list[str], interrupt: Interrupt, advance: Callable[[], None]) -> int:
    """Wait until these are measured. Raises Failure where nothing moves any more."""
    left, moved_at = len(digests), time.monotonic()
    while left and not interrupt.asked:
        interrupt.sleep(LOOK_SECONDS)
        still = len(indexing.left_of(opened, digests))
        for _ in range(left - still):
            advance()
        moved_at = time.monotonic() if still < left else moved_at
        left = still
        if time.monotonic() - moved_at > PATIENCE_SECONDS:
            raise Failure("No worker measures the images: is one running, and does Redis answer?")
    return len(digests) - left

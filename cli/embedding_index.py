"""The index by which embeddings are searched: the last part of `vitrine index rebuild`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cli.interrupt import Interrupt
from cli.terminal import Screen
from core.desk import Desk
from core.errors import Unavailable
from core.services.embedding_indexes import BEGUN, MADE, EmbeddingIndexes

LOOK_SECONDS = 0.1


def index_embeddings(opened: Desk, screen: Screen, interrupt: Interrupt) -> None:
    """Make the index that large accounts' embeddings lack. Raises Unavailable."""
    indexes = EmbeddingIndexes(opened)

    def tell(event: str, **about: Any) -> None:
        if event == BEGUN:
            vectors = f"by {about['model']} ({about['dimensions']:,} numbers)"
            screen.note(f"Indexing the embeddings {vectors}: minutes for 100,000. Searches go on meanwhile.")
        elif event == MADE:
            screen.note("Indexed.")

    with ThreadPoolExecutor(1) as pool, screen.spinner("Indexing", interrupt):
        work = pool.submit(indexes.keep_up, tell)
        while not work.done() and not interrupt.asked:
            interrupt.sleep(LOOK_SECONDS)
        if interrupt.asked:
            indexes.stop()
    try:
        if not work.result():
            screen.note("Another process is indexing the embeddings just now.")
    except Unavailable:
        if not interrupt.asked:
            raise
        screen.note("Stopped; a worker indexes the embeddings within some minutes, or run it again.")

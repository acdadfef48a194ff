"""Indexes of the endpoint's embeddings: made where an account has many, dropped where none is searched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import Connection

from core.desk import Desk
from core.services.ranking import SMALL_CATALOGUE
from core.store import embedding_indexes as store
from core.store.embedding_indexes import MOST_DIMENSIONS, Space

LOOK_SECONDS = 0.05

Tell = Callable[[str, int], None]
"""Takes the model and the length of vectors that are about to be indexed."""

log = structlog.get_logger(__name__)


class EmbeddingIndexes:
    """Kept by one process at a time, on a connection of its own: a build takes minutes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._driver: Any = None
        """What can break off a statement of the connection that is open."""
        self._stopping = False

    def keep_up(self, tell: Tell = lambda *_: None) -> bool:
        """Drop what is searched no more, or was left half made, then make what is missing; `tell` of each.

        False where another process is at it. Raises Unavailable where it is stopped, or nobody may do it.
        """
        with self._connected() as connection:
            if not store.prepare(connection):
                return False
            model = self._desk.settings.similar_embedding_model
            there = _tidied(connection, model)
            for space in _wanted(connection, model):
                if space.index_name not in there and not self._stopping:
                    tell(*space)
                    _make(connection, space)
        return True

    def stop(self) -> None:
        """Break off what is being made; whoever comes next begins it again."""
        self._stopping = True
        while (driver := self._driver) is not None:
            driver.cancel_safe()
            time.sleep(LOOK_SECONDS)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._desk.database.long_statements() as connection:
            self._driver = connection.connection.dbapi_connection
            try:
                yield connection
            finally:
                self._driver = None


def _tidied(connection: Connection, model: str) -> set[str]:
    """The indexes of the model that can be searched, once all others are gone."""
    kept = set()
    for name, is_valid in store.standing(connection).items():
        if is_valid and model and name.startswith(store.prefix_of(model)):
            kept.add(name)
        else:
            store.drop(connection, name)
            log.info("embedding_index_dropped", index=name, half_made=not is_valid)
    return kept


def _wanted(connection: Connection, model: str) -> list[Space]:
    """Vectors that are too many to be compared with each, where an index can be made of them."""
    lengths = store.crowded(connection, model, SMALL_CATALOGUE) if model else []
    return [Space(model, length) for length in lengths if length <= MOST_DIMENSIONS]


def _make(connection: Connection, space: Space) -> None:
    log.info("embedding_index_begun", **space._asdict())
    start = time.monotonic()
    store.create(connection, space)
    log.info("embedding_index_made", **space._asdict(), seconds=round(time.monotonic() - start, 1))

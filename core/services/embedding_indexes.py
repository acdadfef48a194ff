"""Indexes of the endpoint's embeddings: made where an account has many, dropped where none is searched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from core.desk import Desk
from core.errors import Unavailable
from core.services.ranking import SMALL_CATALOGUE
from core.store import embedding_indexes as store
from core.store.embedding_indexes import MOST_DIMENSIONS, Space

LOOK_SECONDS = 0.05
NOT_OWNER = "42501"
"""SQLSTATE insufficient_privilege."""

DROPPED, BEGUN, MADE = "embedding_index_dropped", "embedding_index_begun", "embedding_index_made"

Tell = Callable[..., object]
"""Takes one of these events, and by their names what it is about: as a logger does."""


def _to_nobody(_: str, **__: object) -> None:
    pass


class EmbeddingIndexes:
    """Kept by one process at a time, on a connection of its own: a build takes minutes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._driver: Any = None
        """What can break off a statement of the connection that is open."""
        self._stopping = False

    def keep_up(self, tell: Tell = _to_nobody) -> bool:
        """Drop what is searched no more, or was left half made, then make what is missing; `tell` of each.

        False where another process is at it. Raises Unavailable where it is stopped, or nobody may do it.
        """
        with self._connected() as connection, self._translated():
            if not store.prepare(connection):
                return False
            model = self._desk.settings.similar_embedding_model
            there = _tidied(connection, model, tell)
            for space in _wanted(connection, model):
                if space.index_name not in there and not self._stopping:
                    _make(connection, space, tell)
        return True

    def stop(self) -> None:
        """Break off what is being made; whoever comes next begins it again."""
        self._stopping = True
        while (driver := self._driver) is not None:
            driver.cancel_safe()
            time.sleep(LOOK_SECONDS)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if self._stopping:
                raise Unavailable("It was stopped.") from error
            if getattr(error.orig, "sqlstate", None) == NOT_OWNER:
                raise Unavailable(
                    "The database user does not own image_embeddings, and so cannot index it: let the one "
                    "that has migrated the database run vitrine index rebuild."
                ) from error
            raise

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._desk.database.long_statements() as connection:
            self._driver = connection.connection.dbapi_connection
            try:
                yield connection
            finally:
                self._driver = None


def _tidied(connection: Connection, model: str, tell: Tell) -> set[str]:
    """The indexes of the model that can be searched, once all others are gone."""
    kept = set()
    for name, is_valid in store.standing(connection).items():
        if is_valid and model and name.startswith(store.prefix_of(model)):
            kept.add(name)
        else:
            store.drop(connection, name)
            tell(DROPPED, index=name, half_made=not is_valid)
    return kept


def _wanted(connection: Connection, model: str) -> list[Space]:
    """Vectors that are too many to be compared with each, where an index can be made of them."""
    lengths = store.crowded(connection, model, SMALL_CATALOGUE) if model else []
    return [Space(model, length) for length in lengths if length <= MOST_DIMENSIONS]


def _make(connection: Connection, space: Space, tell: Tell) -> None:
    tell(BEGUN, **space._asdict())
    start = time.monotonic()
    store.create(connection, space)
    tell(MADE, **space._asdict(), seconds=round(time.monotonic() - start, 1))

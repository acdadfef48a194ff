"""Statements that are run for every item: compiled once, and handed to the driver as they are.

SQLAlchemy's own way to the driver (a key to look the statement up by, a context, a result) takes as much CPU
again as the driver does. Its types still say how values are given to Postgres.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from psycopg import Cursor
from psycopg.rows import RowFactory, tuple_row
from sqlalchemy.dialects.postgresql.psycopg import dialect

from core.db import Driver

DIALECT = dialect()  # type: ignore[no-untyped-call]
NOTHING: Mapping[str, Any] = {}

T = TypeVar("T")


class Prepared:
    """One statement of SQLAlchemy's; a list among its values is an array.

    Raises ValueError for one whose text depends on its values, as that of `column IN` a list of them does.
    """

    def __init__(self, statement: Any) -> None:
        compiled = statement.compile(dialect=DIALECT)
        if compiled.post_compile_params:
            raise ValueError("Say words of ours by store.words.one_of, and give others as an array.")
        self._text = str(compiled)
        self._fixed: dict[str, Any] = {}
        self._conversions: dict[str, Callable[[Any], Any]] = {}
        for bound, name in compiled.bind_names.items():
            if convert := bound.type.dialect_impl(DIALECT).bind_processor(DIALECT):
                self._conversions[name] = convert
            if not bound.required:
                self._fixed[name] = bound.effective_value

    def one(self, driver: Driver, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The row that it always gives. Raises psycopg.Error, as `first` does."""
        [row] = self._executed(driver, values, tuple_row)
        return row

    def first(self, driver: Driver, values: Mapping[str, Any], made_by: RowFactory[T]) -> T | None:
        """The first row that it gives, if any, as what makes rows makes it."""
        return self._executed(driver, values, made_by).fetchone()

    def all(self, driver: Driver, values: Mapping[str, Any], made_by: RowFactory[T]) -> list[T]:
        """All rows that it gives."""
        return self._executed(driver, values, made_by).fetchall()

    def holds(self, driver: Driver, values: Mapping[str, Any] = NOTHING) -> bool:
        """What a look finds, whose one column is a condition."""
        [found] = self.one(driver, values)
        return bool(found)

    def do(self, driver: Driver, values: Mapping[str, Any]) -> None:
        """Run it where it gives no rows."""
        self._executed(driver, values, tuple_row)

    def _executed(self, driver: Driver, values: Mapping[str, Any], made_by: RowFactory[T]) -> Cursor[T]:
        given = {**self._fixed, **values}
        for name, convert in self._conversions.items():
            given[name] = convert(given[name])
        return driver.cursor(row_factory=made_by).execute(self._text, given)

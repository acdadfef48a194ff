from contextlib import contextmanager

import pytest
from sqlalchemy import event


@pytest.fixture
def queries(desk):
    """Collect the statements that reach the database, with `with queries() as seen`."""

    @contextmanager
    def watch():
        seen = []

        def note(_connection, _cursor, statement, *_):
            seen.append(statement)

        event.listen(desk.database.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(desk.database.engine, "before_cursor_execute", note)

    return watch

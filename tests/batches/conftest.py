"""What the tests of batches share."""

import io
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


@pytest.fixture
def key(new_key):
    """A key without a rate limit: these tests submit more often than a client may."""
    return new_key(unlimited=True)


@pytest.fixture
def file_id(client, photo):
    """A photo that the account has."""
    data = {"file": (io.BytesIO(photo("olive")), "p.jpg")}
    return client.post("/api/v1/files", data=data).json["id"]

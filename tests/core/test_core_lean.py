"""What steps of an analysis cost Postgres: which indexes they write to, and which rows they go through."""

import os
import subprocess

import psycopg
import pytest
from endpoint import BIN, ROOT
from livesystem import environment_of
from sqlalchemy import text

BEFORE, SINCE = "0018_embeddings", "0019_lean_indexes"
ROWS = """
INSERT INTO accounts (id, name) VALUES ('acc_1', 'shop');
INSERT INTO api_keys (id, account_id, name, prefix, digest, scopes, unlimited)
VALUES ('key_1', 'acc_1', 'k', 'vt_1', '', '{}', false);
INSERT INTO analyses (id, account_id, key_id, request_id, state, preset, preset_version, model, max_tokens,
                      temperature, detail, metadata, deadline_at, lease_until)
SELECT 'an_' || state, 'acc_1', 'key_1', 'r', state, 'question', 1, 'm', 9, 0, 'auto', '{}', now(), now()
FROM unnest(ARRAY['queued', 'running', 'completed']) AS state;
"""


@pytest.fixture
def migrated(servers, folder):
    """Brings a database of its own to a version, and gives a connection to it."""
    environment = environment_of(servers, "lean", 9, folder)

    def to(version, step="upgrade"):
        command = [BIN / "alembic", step, version]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True)

    with psycopg.connect(environment["DATABASE_URL"].replace("+psycopg", ""), autocommit=True) as connection:
        yield to, connection


def test_rows_are_the_same_before_and_after_the_indexes_change_both_ways(migrated):
    to, connection = migrated

    def rows():
        return connection.execute("SELECT a::text FROM analyses AS a ORDER BY id").fetchall()

    def indexes():
        found = connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'analyses'")
        return {name for (name,) in found}

    to(BEFORE)
    connection.execute(ROWS)
    kept, first = rows(), indexes()
    assert len(kept) == 3
    to(SINCE)
    assert rows() == kept
    assert indexes() - first == {"ix_analyses_running", "ix_analyses_overdue"}
    to(BEFORE, "downgrade")
    assert rows() == kept
    assert indexes() == first


def test_a_renewed_lease_changes_no_index(desk):
    """Postgres then keeps the row on its page and writes to none of them."""
    defined = text("SELECT indexdef FROM pg_indexes WHERE tablename = 'analyses'")
    with desk.database.transaction() as session:
        assert not [index for index in session.scalars(defined) if "lease_until" in index]

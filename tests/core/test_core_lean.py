"""What steps of an analysis cost Postgres: which indexes they write to, and which rows they go through."""

import dataclasses
import hashlib
import os
import subprocess
from datetime import timedelta
from io import BytesIO

import psycopg
import pytest
from endpoint import BIN, ROOT
from livesystem import environment_of
from sqlalchemy import text

from core.desk import KEPT_MOST, KEPT_SECONDS
from core.pricing import Usage, WorstCase
from core.recent import Recent
from core.services import analyses, chat, outcomes
from core.services.chat import ChatRequest
from core.services.files import ABANDONED_AFTER, Upload
from core.services.outcomes import Answer, Closing

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

WHOLE_TABLES_READ = """
SELECT sum(seq_scan) FROM pg_stat_user_tables
WHERE relname IN ('analyses', 'analysis_images', 'calls', 'budgets')
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

    to(BEFORE, "downgrade")  # a database is made as the newest version has it
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


def test_no_step_of_an_analysis_reads_a_whole_table_not_even_a_small_one(desk, new_key):
    """The plan of a prepared statement is kept while the table grows."""
    key = new_key().key

    def answer():
        claimed = outcomes.claim(desk, chat.submit(desk, key, about(), "req"), "w")
        call_id = outcomes.reserve(desk, claimed, WorstCase(0, None), [])
        closing = Closing.settled(call_id, Usage(1, 1), None, None)
        outcomes.succeed(desk, claimed, Answer("Red.", None, None, "stop"), closing)
        chat.look(desk, key.account_id, claimed.id)

    def whole_tables_read():
        with desk.database.driver() as driver:
            driver.execute("SELECT pg_stat_force_next_flush()")
            [(read,)] = driver.execute(WHOLE_TABLES_READ).fetchall()
        return read

    with desk.database.statement() as connection:
        connection.execute(text("ANALYZE"))
    before = whole_tables_read()
    for _ in range(12):  # prepared after five times, planned once for all after five more
        answer()
    assert whole_tables_read() == before


@pytest.fixture
def image(photo):
    content = photo("#123456")
    return Upload(BytesIO(content), len(content), hashlib.sha256(content).hexdigest(), "a.jpg")


def about(*images):
    """A chat about images."""
    return ChatRequest(
        body={"messages": []},
        images=images,
        model="scripted",
        max_tokens=9,
        stream=False,
        include_usage=False,
    )


def test_a_chat_with_a_new_image_is_stored_by_two_statements(desk, new_key, statements, image):
    """The touch of its bytes, and itself: committed, and so seen by others, when submitting returns."""
    key = new_key().key
    with statements() as seen:
        made = chat.submit(desk, key, about(image), "req")
    assert len(seen) == 2
    assert chat.look(desk, key.account_id, made).state == "queued"
    [stored] = analyses.get(desk, key.account_id, made).images
    assert stored.file.digest == image.digest


def test_a_chat_whose_image_came_a_moment_ago_is_stored_by_one(desk, new_key, statements, image):
    """Its bytes are there still: whoever removes some leaves those alone that were used within an hour."""
    desk, key = dataclasses.replace(desk, kept_bytes=Recent(KEPT_MOST, KEPT_SECONDS)), new_key().key
    chat.submit(desk, key, about(image), "req")
    with statements() as seen:
        made = chat.submit(desk, key, about(image), "req")
    assert len(seen) == 1
    [stored] = analyses.get(desk, key.account_id, made).images
    assert len(desk.blobs.get(stored.file.digest)) == image.byte_size
    assert timedelta(seconds=KEPT_SECONDS) < ABANDONED_AFTER / 2

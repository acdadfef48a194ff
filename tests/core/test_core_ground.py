"""What everything stands on: states, ids, presets, media, logs, transactions, errors."""

import dataclasses
import itertools
import logging
import pickle
import threading
import time

import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from jsonschema import Draft202012Validator
from sqlalchemy import text

from core import db, logs, media
from core.db import after_commit
from core.errors import InternalError, InvalidRequest, NotFound, Unavailable, VitrineError, from_code
from core.ids import new_id
from core.models import Base
from core.presets import Presets
from core.queue import Task, celery_app
from core.states import ANALYSIS_MOVES, CALL_MOVES, DELIVERY_MOVES, FINAL, sources


def test_every_state_can_be_reached_and_every_final_one_is_left_by_nobody():
    for moves in (ANALYSIS_MOVES, CALL_MOVES, DELIVERY_MOVES):
        reachable = set(itertools.chain.from_iterable(moves.values()))
        first = next(iter(moves))
        assert set(moves) - reachable <= {first}
    assert {state.value for state in FINAL} == {"completed", "failed", "cancelled", "expired"}
    assert all(not set(sources(ANALYSIS_MOVES, to)) & FINAL for to in ANALYSIS_MOVES)


def test_the_database_refuses_a_state_that_does_not_exist(desk):
    statement = text(
        "SELECT conname FROM pg_constraint WHERE conname IN ('ck_analyses_state', 'ck_calls_state')"
    )
    with desk.database.transaction() as session:
        assert len(session.scalars(statement).all()) == 2


def test_the_migrations_make_the_tables_that_the_models_say(desk):
    with desk.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_ids_are_unique_and_sort_by_their_time():
    made = []
    for _ in range(5):
        made.append(new_id("an"))
        time.sleep(0.002)
    assert made == sorted(made)
    assert len({new_id("an") for _ in range(10_000)}) == 10_000


def test_every_preset_has_a_valid_schema_and_a_prompt():
    presets = Presets()
    for preset in presets._by_version.values():
        assert preset.prompt
        assert preset.question
        if preset.schema:
            Draft202012Validator.check_schema(preset.schema)
            assert preset.schema["additionalProperties"] is False
            assert set(preset.schema["required"]) == set(preset.schema["properties"])  # strict mode wants all
    with pytest.raises(InvalidRequest, match="product, question"):
        presets.latest("nonsense")


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (b"\xff\xd8\xff\xe0", media.JPEG),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", media.AVIF),
        (b"\0\0\0\x18ftypheic", "a HEIC photo"),
        (b"%PDF-1.7", "a PDF document"),
        (b"  <!DOCTYPE html>", "an HTML page"),
        (b"", "an empty file"),
        (b"hello", "text"),
        (b'\n[{"image": 1}]', "a JSON array"),
        (b"\x01\x02\xff", "a file of an unknown kind"),
    ],
)
def test_bytes_are_recognised_by_their_beginning(head, looks):
    assert media.recognise(head) == looks


@pytest.mark.parametrize(
    "secret",
    [
        "vt_2dFtCj7qYEr-Sc06x8p_OHpbjgejwi25wJZFYAOSg5E",
        "sk-proj-abcdefgh12345678",
        "shop:hunter2",
        "data:image/jpeg;base64," + "QUJD" * 50,
        "QUJD" * 200,
    ],
)
def test_secrets_and_image_data_are_cut_out_of_every_log_line(secret):
    url = f"postgresql://{secret}@db/x" if "hunter2" in secret else secret
    event = {
        "event": f"oops {url}",
        "nested": {"deep": [url]},
        "api_key": "plain",
        "Authorization": "Bearer x",
    }
    line = str(logs.redact(None, "info", event))
    assert secret not in line
    assert "plain" not in line
    assert "Bearer x" not in line


def test_several_processes_may_rotate_one_log_file(settings, tmp_path, monkeypatch):
    path = tmp_path / "vitrine.log"
    monkeypatch.setattr(logs, "FILE_BYTES", 2_000)
    root = logging.getLogger()
    before, level, configuration = root.handlers, root.level, structlog.get_config()
    try:
        logs.set_up(dataclasses.replace(settings, log_file=path, log_level="INFO"))
        for number in range(100):
            structlog.get_logger("test").info("line", number=number)
    finally:
        root.handlers = before
        root.setLevel(level)
        structlog.configure(**configuration)
    files = sorted(tmp_path.glob("vitrine.log*"))
    assert len([file for file in files if "lock" not in file.name]) > 2
    assert '"number": 99' in path.read_text()


def test_what_waits_for_the_commit_leaves_after_it_and_never_after_a_rollback(desk):
    told = []
    with desk.database.transaction() as session:
        after_commit(session, lambda: told.append(session.in_transaction()))
        assert told == []
    assert told == [False]
    with pytest.raises(ZeroDivisionError):
        fail_half_way(desk, lambda: told.append("never"))
    assert told == [False]


def fail_half_way(desk, callback):
    with desk.database.transaction() as session:
        after_commit(session, callback)
        raise ZeroDivisionError


def test_a_pool_that_is_used_up_is_unavailable_rather_than_a_bug(settings, monkeypatch):
    monkeypatch.setattr(db, "CONNECT_SECONDS", 0.2)
    small = db.Database(settings.database_url, pool_size=1, name="small")
    with small.transaction() as session:
        session.execute(text("SELECT 1"))
        failed = []

        def second():
            try:
                small.ping()
            except Unavailable as error:
                failed.append(error.retry_after)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert failed == [5.0]
    small.close()


def test_a_server_that_only_reads_for_now_is_unavailable_rather_than_a_bug(desk):
    def write():
        with desk.database.transaction() as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            session.execute(text("UPDATE dispatch SET virtual_time = 0"))

    with pytest.raises(Unavailable):
        write()


def all_errors(root=VitrineError):
    return [root, *itertools.chain.from_iterable(all_errors(child) for child in root.__subclasses__())]


def test_every_error_has_a_sentence_a_code_and_a_status_and_travels_between_processes():
    for kind in all_errors():
        error = kind(details={"a": 1}, retry_after=2)
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes)
        assert error.message[0].isupper()
        assert 400 <= error.status < 600
        assert (copy.message, copy.details, copy.retry_after) == (error.message, {"a": 1}, 2)
        assert from_code(error.code, "x", {}).status == error.status


def test_an_error_code_that_is_not_known_any_more_is_an_internal_error():
    assert type(from_code("long_gone", "x", {})) is InternalError
    assert type(from_code("not_found", "x", {})) is NotFound


def test_the_workers_know_exactly_the_tasks_that_are_named():
    celery_app.loader.import_default_modules()
    registered = {name for name in celery_app.tasks if not name.startswith("celery.")}
    assert registered == {task.value for task in Task}

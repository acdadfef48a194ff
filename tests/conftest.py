"""Real Postgres and Valkey for every test; a live system of real processes for those that ask for it.

Tests inside this process use a database and a Redis number of their own, where no worker listens: what they
queue stays queued until they run it themselves. The live system has the other ones.
"""

import dataclasses
import os
import signal
import tempfile
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from endpoint import Analyst, Script
from livesystem import environment_of, migrate_template, system_of
from PIL import Image
from rawhost import OUTSIDE

import config
from core.desk import Desk
from core.ids import new_id
from core.recent import Recent
from core.services import keys
from local import embedded
from webapp.app import create_app

LONGEST = (
    "test_faults_brief",
    "test_batches_big",
    "test_faults_steady",
    "test_live_contract",
    "test_stack_killed",
    "test_webhooks_live",
    "test_cli_commands",
    "test_stack_refusals",
    "test_live_system",
    "test_streams_live",
)

# A shell ignores Ctrl-C in what it runs in the background, and whatever tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def folder():
    with tempfile.TemporaryDirectory(prefix="vitrine-tests-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def servers(folder):
    """URLs of Postgres and Valkey; a database that is made there has the schema."""
    with embedded.postgres(folder / "pg") as database, embedded.valkey(folder / "vk") as redis:
        migrate_template((database, redis), folder)
        yield database, redis


@pytest.fixture(scope="session")
def environment(servers, folder):
    """The settings of this process; in place before anything reads them."""
    values = environment_of(
        servers,
        "quiet",
        1,
        folder,
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        VISION_MODELS="scripted,gpt-4.1-mini",
    )
    os.environ.update(values)
    return values


@pytest.fixture(scope="session")
def settings(environment):
    return config.settings()


@pytest.fixture(scope="session")
def desk(settings):
    """Of a process that has no bytes in mind: in tests an hour is one UPDATE."""
    opened = dataclasses.replace(Desk.open(settings, name="tests"), kept_bytes=Recent(0, 0))
    yield opened
    opened.database.close()


@pytest.fixture
def new_key(desk):
    """Make keys, each of an account of its own unless one is named."""

    def make(**options):
        options = {"account": new_id("shop"), "name": "test", **options}
        return keys.create(desk, **options)

    return make


@pytest.fixture
def key(new_key):
    return new_key()


@pytest.fixture(scope="session")
def app(settings, desk):
    return create_app(settings, desk)


@pytest.fixture
def client(app, key):
    """A test client that is signed in."""
    signed_in = app.test_client()
    signed_in.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.secret}"
    return signed_in


@pytest.fixture
def script():
    endpoint = Script()
    yield endpoint
    endpoint.stop()


def photo(color="red", size=(320, 240), form="JPEG", **options):
    buffer = BytesIO()
    Image.new("RGB", size, color).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture(name="photo", scope="session")
def photo_maker():
    return photo


@pytest.fixture(scope="session")
def live(servers, folder, settings):
    """gunicorn, two workers and the analyst, over real HTTP."""
    own = {
        "LOG_LEVEL": "INFO",
        "WORKER_CONCURRENCY": "4",
        "WEB_THREADS": "32",
        "VISION_MODELS": "pixel-analyst-2",
        # Where tests have hosts of images; all else on this machine stays forbidden.
        "OUTBOUND_NETWORKS": f"{OUTSIDE}/32",
        "OUTBOUND_PORTS": "1-65535",
    }
    with system_of(servers, settings, folder, "live", 0, Analyst("--keep-images"), **own) as system:
        system.start_web("web")
        for number in (1, 2):
            system.start_worker(f"worker-{number}")
        system.wait_for(lambda: system.sees_workers(2))
        yield system


@pytest.fixture
def quick(live):
    """The live system with a fast, faultless endpoint, an empty ledger, and a throttle that knows nothing."""
    live.analyst.reset()
    live.forget_limits()
    return live


@pytest.fixture
def statements(monkeypatch):
    """Collect the statements that are given to the driver, with `with statements() as seen`."""
    execute = psycopg.Cursor.execute

    @contextmanager
    def watch():
        seen = []

        def noting(cursor, statement, *rest, **options):
            if statement != "SELECT 1":  # how a connection that rested is tested
                seen.append(statement)
            return execute(cursor, statement, *rest, **options)

        with monkeypatch.context() as patched:
            patched.setattr(psycopg.Cursor, "execute", noting)
            yield seen

    return watch


def pytest_collection_modifyitems(items):
    """The longest files first: they are shared out in this order, and nobody is to wait for the last one."""
    first = {f"{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))

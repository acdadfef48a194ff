"""Real Postgres and Valkey for every test; a live system of real processes for those that ask for it.

Tests inside this process use a database and a Redis number of their own, where no worker listens: what they
queue stays queued until they run it themselves. The live system has the other ones.
"""

import dataclasses
import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from endpoint import BIN, ROOT, Analyst, Script
from livesystem import Live, environment_of
from PIL import Image
from rawhost import OUTSIDE

import config
from core.desk import Desk
from core.ids import new_id
from core.services import keys
from local import embedded
from local.ports import free_port
from webapp.app import create_app

# A shell ignores Ctrl-C in what it runs in the background, and whatever tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def folder():
    with tempfile.TemporaryDirectory(prefix="vitrine-tests-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def servers(folder):
    """URLs of Postgres and Valkey, without a database or number."""
    with embedded.postgres(folder / "pg") as database, embedded.valkey(folder / "vk") as redis:
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
    subprocess.run([BIN / "vitrine", "migrate"], cwd=ROOT, check=True, capture_output=True)
    return values


@pytest.fixture(scope="session")
def settings(environment):
    return config.settings()


@pytest.fixture(scope="session")
def desk(settings):
    opened = Desk.open(settings, name="tests")
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
    analyst = Analyst("--keep-images")
    port = free_port()
    environment = environment_of(
        servers,
        "live",
        0,
        folder,
        OPENAI_BASE_URL=analyst.base_url,
        PORT=str(port),
        LOG_LEVEL="INFO",
        WORKER_CONCURRENCY="4",
        WEB_THREADS="32",
        # Where tests have hosts of images; all else on this machine stays forbidden.
        OUTBOUND_NETWORKS=f"{OUTSIDE}/32",
        OUTBOUND_PORTS="1-65535",
    )
    url = environment["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1)
    desk = Desk.open(dataclasses.replace(settings, database_url=url), name="tests")
    system = Live(f"http://127.0.0.1:{port}", environment, analyst, {}, desk)
    migrated = system.vitrine("migrate")
    assert migrated.returncode == 0, migrated.stderr
    with ExitStack() as ends:
        ends.callback(desk.database.close)
        ends.callback(analyst.stop)
        ends.callback(system.stop_all)
        system.start("web", [BIN / "gunicorn", "wsgi:app"])
        for number in (1, 2):
            system.start_worker(f"worker-{number}")
        system.wait_for(lambda: system.sees_workers(2), seconds=180)
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
    """The longest file first: files are shared out in this order, and nobody is to wait for the last one."""
    items.sort(key=lambda item: item.path.name != "test_live_contract.py")

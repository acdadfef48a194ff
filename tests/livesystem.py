"""Vitrine as processes of its own: web, workers and the analyst, on servers that are there."""

import dataclasses
import os
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import redis
import requests
from endpoint import BIN, ROOT, WITH_US, Analyst
from sqlalchemy import select
from waiting import PATIENCE, wait_until

from core.desk import Desk
from core.ids import new_id
from core.models import Worker
from core.services import keys
from local.ports import free_port

TEMPLATE = "template1"
"""What Postgres makes new databases from."""
SHORTEST_LEASE = "10"
"""Seconds after which what a killed worker held is taken by others."""


def migrate_template(servers, folder):
    """Migrate once, so that every database that is made from then on has the schema."""
    settings = {**os.environ, **settings_of(servers, TEMPLATE, 0, folder)}
    subprocess.run([BIN / "vitrine", "migrate"], cwd=ROOT, env=settings, check=True, capture_output=True)


def environment_of(servers, name, number, folder, **more):
    """The settings of a system with a new database of this name."""
    with psycopg.connect(servers[0], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return settings_of(servers, name, number, folder, **more)


def settings_of(servers, name, number, folder, **more):
    before, _, query = servers[0].partition("?")
    return {
        "DATABASE_URL": f"{before.rsplit('/', 1)[0]}/{name}?{query}",
        "REDIS_URL": servers[1].rsplit("/", 1)[0] + f"/{number}",
        "STORAGE_URL": f"file://{folder}/{name}-blobs",
        "OPENAI_API_KEY": "sk-test-secret-0123456789",
        "VISION_MODEL": "pixel-analyst",
        "LOG_LEVEL": "WARNING",
        **more,
    }


@dataclass
class Live:
    """A system of real processes."""

    url: str
    environment: dict
    analyst: Analyst
    processes: dict
    desk: Desk

    def start(self, name, command, **more):
        env = {**os.environ, **self.environment, **more}
        with self.log_of(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
                preexec_fn=WITH_US,  # noqa: PLW1509 - only a system call
            )

    def log_of(self, name):
        return Path(self.environment["STORAGE_URL"].removeprefix("file://")).parent / f"{name}.log"

    def start_web(self, name):
        self.start(name, [BIN / "gunicorn", "wsgi:app"])

    def start_worker(self, name, *arguments, **more):
        command = [BIN / "celery", "-A", "worker.app", "worker", f"--hostname={name}@test"]
        self.start(name, [*command, "--without-mingle", "--without-gossip", *arguments], **more)

    def start_doomed(self):
        """A worker that is to be killed; what it held is not waited for longer than need be."""
        self.start_worker("doomed", WORKER_LEASE=SHORTEST_LEASE)
        self.wait_for(lambda: self.works("doomed"))

    def sees_workers(self, count):
        """Whether the web process answers, and so many workers have been seen."""
        try:
            health = requests.get(f"{self.url}/api/health", timeout=5)
        except requests.RequestException:
            return False
        return health.ok and f"{count} seen" in health.json()["checks"]["workers"]["detail"]

    def works(self, name):
        """Whether the process of this worker, and not one before it of the same name, has been seen."""
        began = datetime.fromtimestamp(psutil.Process(self.processes[name].pid).create_time(), UTC)
        with self.desk.database.transaction() as session:
            seen = select(Worker.name).where(Worker.name.startswith(name), Worker.seen_at > began)
            return session.scalars(seen).first() is not None

    def vitrine(self, *arguments):
        command = [BIN / "vitrine", *arguments]
        env = {**os.environ, **self.environment}
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    def session(self, key=None):
        """An HTTP session signed in with a new account's key, which has no limit, or with the one given."""
        signed_in = requests.Session()
        if key is None:
            key = keys.create(self.desk, account=new_id("shop"), name="test", unlimited=True).secret
        signed_in.headers["Authorization"] = f"Bearer {key}"
        return signed_in

    def session_of(self, other):
        """Another session with the same key."""
        return self.session(other.headers["Authorization"].removeprefix("Bearer "))

    def forget_limits(self):
        """Make the workers' throttle forget what the endpoint said so far."""
        valkey = redis.Redis.from_url(self.environment["REDIS_URL"])
        if keys := valkey.keys("vitrine:throttle:*"):
            valkey.delete(*keys)

    def wait_for(self, look, seconds=PATIENCE, every=0.1):
        return wait_until(look, seconds, every)

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name):
        """Stop a process; one that does not stop in time is killed, and that is told."""
        self.processes[name].terminate()
        self._see_the_end_of(name)

    def stop_all(self):
        """Stop the processes side by side, each whatever becomes of the others."""
        for process in self.processes.values():
            process.terminate()
        with ExitStack() as ends:
            for name in self.processes:
                ends.callback(self._see_the_end_of, name)

    def _see_the_end_of(self, name):
        process = self.processes.pop(name)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


@contextmanager
def system_of(servers, settings, folder, name, number, endpoint, **more):
    """A system that asks this endpoint, for the length of a block, which starts its processes.

    name and number: of its database and of its Redis database; no other system has them.
    """
    port = free_port()
    own = {"OPENAI_BASE_URL": endpoint.base_url, "PORT": str(port), **more}
    environment = environment_of(servers, name, number, folder, **own)
    url = environment["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1)
    desk = Desk.open(dataclasses.replace(settings, database_url=url), name="tests")
    system = Live(f"http://127.0.0.1:{port}", environment, endpoint, {}, desk)
    with ExitStack() as ends:
        ends.callback(desk.database.close)
        ends.callback(endpoint.stop)
        ends.callback(system.stop_all)
        yield system

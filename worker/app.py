"""What `celery -A worker.app worker` starts."""

from __future__ import annotations

import gc
import os
from typing import Any

import structlog
from celery import signals

from config import settings
from core.logs import set_up
from core.queue import celery_app
from worker import workbench

app = celery_app

log = structlog.get_logger(__name__)


@signals.setup_logging.connect
def _logs(**_: Any) -> None:
    set_up(settings())


@signals.celeryd_init.connect
def _open(sender: str, options: dict[str, Any], **_: Any) -> None:
    """Before the first task, so that no task pays for importing and connecting."""
    os.umask(0o077)
    set_up(settings())
    workbench.open_workshop(settings(), f"{sender}-{os.getpid()}", options.get("queues") or ())
    gc.collect()
    gc.freeze()  # what was imported and opened stays: no collection need look at it again
    log.info("worker_ready", worker=sender, slots=settings().worker_concurrency)


@signals.worker_shutting_down.connect
def _stop_claiming(**_: Any) -> None:
    """At SIGTERM, and in its handler: nothing here may wait or log."""
    workbench.stop_claiming()


@signals.worker_shutdown.connect
def _close(**_: Any) -> None:
    workbench.close_workshop()

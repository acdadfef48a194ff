"""Logs of every process: structlog over the standard library, so that Celery's and gunicorn's lines fit in.

What is bound with `structlog.contextvars` (request id, analysis id) is on every line of that thread.
Keys, passwords and image data are cut out of every line, whoever wrote it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from concurrent_log_handler import ConcurrentRotatingFileHandler
from structlog.types import Processor

from config import Settings

FILE_BYTES = 20_000_000
FILES_KEPT = 5
LONGEST_TEXT = 20_000
SECRET_NAMES = re.compile(r"(?i)(authorization|api[-_]?key|password|secret$|token$)")
SECRETS = re.compile(
    r"vt_[\w-]{9}[\w-]+|sk-[\w-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|(?i:bearer )[\w.~+/=-]{8,}"
)
DATA = re.compile(r"data:[\w/+.-]+;base64,[\w+/=]+|[\w+/]{400,}={0,2}")


def set_up(settings: Settings) -> None:
    """Send every log line of this process where the settings say; safe to call twice."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared[:-1], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared[:-1],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, _renderer(settings)],
    )
    root = logging.getLogger()
    root.handlers = _handlers(settings)
    for handler in root.handlers:
        handler.setFormatter(formatter)
    root.setLevel(settings.log_level)
    # Celery's lines of every task received and done repeat what the analysis says of itself.
    quiet = ("celery.worker.strategy", "celery.app.trace")
    for chatty in (
        *quiet,
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "openai",
        "PIL",
        "alembic.runtime.plugins",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Cut secrets and image data out of a log line."""
    return {name: "…" if SECRET_NAMES.search(name) else _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        cut = DATA.sub("<data>", SECRETS.sub("…", value))
        return cut if len(cut) <= LONGEST_TEXT else cut[:LONGEST_TEXT] + "…"
    if isinstance(value, dict):
        return {name: "…" if SECRET_NAMES.search(str(name)) else _clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _renderer(settings: Settings) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _handlers(settings: Settings) -> list[logging.Handler]:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if settings.log_file is not None:
        # Several processes write to one file: rotation takes a lock that they share.
        handlers.append(
            ConcurrentRotatingFileHandler(
                settings.log_file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
            )
        )
    return handlers

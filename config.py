"""Settings from the environment (and `.env`), frozen; the only reader of os.environ.

`load()` reports every wrong variable at once. docs/configuration.md is made from the same table:
a variable that is read here and not described there fails a test.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from environs import Env, EnvError, EnvValidationError, validate

UNITS = {
    "": 1,
    "b": 1,
    "kb": 1_000,
    "mb": 1_000_000,
    "gb": 1_000_000_000,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "bmp", "webp", "avif", "tiff", "tif")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
STRUCTURED_OUTPUTS = ("auto", "schema", "prompt")
MAX_SECONDS = 30 * 86_400
MAX_DAYS = 36_500
RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", re.ASCII)
"""A number of requests in a time."""
WAIT = re.compile(r"([1-9][0-9]{0,6})([smhd])", re.ASCII)
WAIT_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
MOST_WAITS = 50
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
"""One port, or the first and the last of a span."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ConfigurationError(Exception):
    """The environment is not fit to start with; the message names every wrong variable."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        self.problems = problems
        lines = [f"  {name}: {'; '.join(why)}" for name, why in sorted(problems.items())]
        super().__init__("Vitrine cannot start, the environment needs mending:\n" + "\n".join(lines))


def _variable(kind: str, *default: Any, name: str = "", secret: bool = False, **checks: Any) -> Any:
    """A setting as it is read: by which parser, and from which variable unless it is the field's own name.

    Without a default it is required; a secret one is not shown with the others.
    """
    how = {"kind": kind, "name": name, "default": default, "checks": checks}
    return field(repr=not secret, metadata=how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one process of Vitrine knows from outside. Sizes in bytes, times in seconds."""

    database_url: str = _variable("database", secret=True)
    database_connections: int = _variable("int", 10, validate=validate.Range(3, 200))
    redis_url: str = _variable("redis", secret=True)
    storage_url: str = _variable("storage", secret=True)

    openai_base_url: str = _variable("http", "https://api.openai.com/v1", secret=True)
    openai_api_key: str = _variable("str", "", secret=True)
    vision_model: str = _variable("str", "gpt-4.1-mini", validate=validate.Length(1, 200))
    vision_models: tuple[str, ...] = _variable("names", "")
    embedding_models: tuple[str, ...] = _variable("names", "text-embedding-3-small,text-embedding-3-large")
    similar_embedding_model: str = _variable("str", "", validate=validate.Length(max=200))
    default_max_tokens: int = _variable("int", 1024, validate=validate.Range(1, 128_000))
    default_temperature: float = _variable("float", 0.2, validate=validate.Range(0, 2))
    structured_output: str = _variable("str", "auto", validate=validate.OneOf(STRUCTURED_OUTPUTS))
    call_timeout: float = _variable("seconds", "60")
    analysis_deadline: float = _variable("seconds", "900")
    idempotency_retention: float = _variable("seconds", "86400")
    reuse_ttl: int = _variable("int", 86_400, validate=validate.Range(0, MAX_SECONDS))
    price_table: Path | None = _variable("file", "")
    endpoint_requests_per_minute: int = _variable("int", 0, validate=validate.Range(0, 10_000_000))
    endpoint_tokens_per_minute: int = _variable("int", 0, validate=validate.Range(0, 1_000_000_000))

    max_file_size: int = _variable("size", "10MB")
    max_request_size: int = _variable("size", "100MB")
    max_upload_size: int = _variable("size", "100MB")
    max_openai_file_size: int = _variable("size", "512MB")
    max_images: int = _variable("int", 16, validate=validate.Range(1, 100))
    allowed_extensions: frozenset[str] = _variable("extensions", ",".join(IMAGE_EXTENSIONS))
    max_image_pixels: int = _variable("int", 25_000_000, validate=validate.Range(1, 500_000_000))
    endpoint_image_bytes: int = _variable("size", "4MB")

    host: str = _variable("str", "127.0.0.1")
    port: int = _variable("int", 8000, validate=validate.Range(1, 65_535))
    debug: bool = _variable("bool", False)
    request_timeout: float = _variable("seconds", "30")
    chat_timeout: float = _variable("seconds", "300")
    cors_origins: tuple[str, ...] = _variable("names", "")
    rate_limit: str = _variable("rate", "50/minute")
    upload_rate_limit: str = _variable("rate", "3000/minute")
    failure_rate_limit: str = _variable("rate", "600/minute")
    web_processes: int = _variable("int", 2, validate=validate.Range(1, 64))
    web_threads: int = _variable("int", 160, validate=validate.Range(1, 512))

    url_images: bool = _variable("bool", True)
    url_timeout: float = _variable("seconds", "30")
    url_host_connections: int = _variable("int", 8, validate=validate.Range(1, 1000))
    outbound_networks: tuple[IPv4Network | IPv6Network, ...] = _variable("networks", "")
    outbound_ports: tuple[range, ...] = _variable("ports", "80,443")

    worker_concurrency: int = _variable("int", 16, validate=validate.Range(1, 256))
    worker_lease: float = _variable("float", 45, validate=validate.Range(10, 3600))
    decoder_processes: int = _variable("int", 1, validate=validate.Range(1, 64))

    session_timeout: timedelta = _variable("hours", "24", name="SESSION_TIMEOUT_HOURS")
    max_context_messages: int = _variable("int", 50, validate=validate.Range(1, 1000))
    max_context_tokens: int = _variable("int", 16_000, validate=validate.Range(100, 500_000))

    result_retention: timedelta | None = _variable("days", "", name="RESULT_RETENTION_DAYS")
    file_retention: timedelta | None = _variable("days", "", name="FILE_RETENTION_DAYS")

    webhook_timeout: float = _variable("float", 15, validate=validate.Range(0.1, 120))
    webhook_schedule: tuple[float, ...] = _variable("schedule", "5s,5m,30m,2h,5h,10h,14h,20h,24h")
    webhook_concurrency: int = _variable("int", 4, validate=validate.Range(1, 64))
    webhook_retention: timedelta = _variable("days", "30", name="WEBHOOK_RETENTION_DAYS")

    metrics_token: str = _variable("str", "", secret=True)
    metrics_host: str = _variable("str", "127.0.0.1")
    metrics_port: int = _variable("int", 0, validate=validate.Range(0, 65_535))
    # The library's own name for it.
    metrics_folder: Path | None = _variable("folder", "", name="PROMETHEUS_MULTIPROC_DIR")

    log_level: str = _variable("level", "INFO")
    log_format: str = _variable("str", "json", validate=validate.OneOf(["json", "console"]))
    log_file: Path | None = _variable("location", "")

    @property
    def models(self) -> tuple[str, ...]:
        """The models that a submission may name, the default one first."""
        return tuple(dict.fromkeys((self.vision_model, *self.vision_models)))


_stand_ins: dict[str, str] = {}
"""What `stand_in` was given."""


class _Environment(Env):
    """An empty variable is one that is not set: so templates and compose files leave things out."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        default = _stand_ins.get(env_key, default)
        value = super()._get_value(env_key, default)
        return default if value == "" else value


@functools.cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return load()


def load(env_file: str | Path = ".env") -> Settings:
    """Read the settings. Raises ConfigurationError that names every wrong variable."""
    env = _Environment(eager=False)
    for name, parser in PARSERS.items():
        env.add_parser(name, parser)
    env.read_env(str(env_file), recurse=False)
    values = _read(env)
    problems = _wrong_by_itself(env) | _contradictions(values)
    if problems:
        raise ConfigurationError(problems)
    return Settings(**values)


def stand_in(variables: Mapping[str, str], env_file: str | Path = ".env") -> bool:
    """Let these stand in for variables that are not set; none of them does where a database is named.

    For the command line beside a local stack; call it before `settings()`. Tells whether they stand in.
    """
    env = _Environment()
    env.read_env(str(env_file), recurse=False)
    if env.str("DATABASE_URL", ""):
        return False
    _stand_ins.update(variables)
    return True


def _wrong_by_itself(env: Env) -> dict[str, list[str]]:
    try:
        env.seal()
    except EnvValidationError as error:
        return dict(cast("dict[str, list[str]]", error.error_messages))
    return {}


def _read(env: Env) -> dict[str, Any]:
    """The values by their names; None for those that are wrong, which sealing reports."""
    values = {}
    for setting in fields(Settings):
        said = setting.metadata
        read = getattr(env, said["kind"])
        values[setting.name] = read(said["name"] or setting.name.upper(), *said["default"], **said["checks"])
    return values


def _contradictions(values: dict[str, Any]) -> dict[str, list[str]]:
    """What is wrong only when two variables are read together. One that is wrong by itself is None."""
    problems: dict[str, list[str]] = {}
    url, file = values["openai_base_url"], values["max_file_size"]
    if url is not None and not values["openai_api_key"] and urlsplit(url).hostname not in LOOPBACK:
        problems["OPENAI_API_KEY"] = ["is needed, since OPENAI_BASE_URL is not on this machine."]
    for name in ("MAX_REQUEST_SIZE", "MAX_UPLOAD_SIZE", "MAX_OPENAI_FILE_SIZE"):
        whole = values[name.lower()]
        if file is not None and whole is not None and whole < file:
            problems[name] = ["must not be smaller than MAX_FILE_SIZE."]
    if "*" in values["cors_origins"] and len(values["cors_origins"]) > 1:
        problems["CORS_ORIGINS"] = ["is either * or a list of origins, not both."]
    return problems


def _url(text: str, schemes: tuple[str, ...], example: str) -> str:
    """The text when it is a URL of these schemes. EnvError never repeats it: it may hold a password."""
    try:
        scheme = urlsplit(text.strip()).scheme
    except ValueError:
        scheme = ""
    if scheme not in schemes or not text.strip().partition("://")[2]:
        raise EnvError(f"must be a URL such as {example}.")
    return text.strip()


def _database(text: str) -> str:
    url = _url(
        text, ("postgresql", "postgres", "postgresql+psycopg"), "postgresql://user:password@host:5432/vitrine"
    )
    return "postgresql+psycopg" + url[url.index("://") :]


def _redis(text: str) -> str:
    return _url(text, ("redis", "rediss"), "redis://:password@host:6379/0")


def _storage(text: str) -> str:
    return _url(text, ("file", "s3"), "file:///var/lib/vitrine/blobs or s3://bucket/prefix")


def _http(text: str) -> str:
    return _url(text, ("http", "https"), "https://api.openai.com/v1").rstrip("/")


def _size(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    unit = UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None or (size := int(Decimal(match[1]) * unit)) < 1:
        raise EnvError("must be a size such as 10MB, 512KiB or 10_000_000.")
    return size


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_SECONDS:
        raise EnvError("must be a number of seconds, more than 0 and at most 30 days.")
    return seconds


def _days(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 < days <= MAX_DAYS:
        raise EnvError(f"must be a number of days, more than 0 and at most {MAX_DAYS}.")
    return timedelta(days=days)


def _hours(text: str) -> timedelta:
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 < hours <= MAX_DAYS * 24:
        raise EnvError(f"must be a number of hours, more than 0 and at most {MAX_DAYS * 24}.")
    return timedelta(hours=hours)


def _schedule(text: str) -> tuple[float, ...]:
    waits = [WAIT.fullmatch(name) for name in _names(text)]
    seconds = tuple(int(wait[1]) * WAIT_UNITS[wait[2]] for wait in waits if wait)
    if not waits or None in waits or len(waits) > MOST_WAITS or max(seconds) > MAX_SECONDS:
        raise EnvError("must be 1 to 50 waits of up to 30 days, such as 5s,5m,2h,1d.")
    return seconds


def _rate(text: str) -> str:
    if not RATE.fullmatch(rate := text.strip().lower()):
        raise EnvError("must be a number of requests per second, minute, hour or day, such as 50/minute.")
    return rate


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(name) for name in _names(text))
    except ValueError:
        raise EnvError("must be a list of networks such as 10.20.0.0/16,fd00:20::/32.") from None


def _ports(text: str) -> tuple[range, ...]:
    spans = [PORTS.fullmatch(name) for name in _names(text)]
    ports = tuple(range(int(span[1]), int(span[2] or span[1]) + 1) for span in spans if span)
    if not ports or None in spans or any(not span or span[0] < 1 or span[-1] > 65_535 for span in ports):
        raise EnvError("must be a list of ports or spans of them, such as 80,443,8000-8099.")
    return ports


def _extensions(text: str) -> frozenset[str]:
    names = frozenset(name.lower().lstrip(".") for name in _names(text))
    if not names or not names <= set(IMAGE_EXTENSIONS):
        raise EnvError(f"must be a comma-separated choice of: {', '.join(IMAGE_EXTENSIONS)}.")
    return names


def _file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise EnvError("must be the path of a file that exists.")
    return _location(text)


def _folder(text: str) -> Path | None:
    if text and not Path(text).is_dir():
        raise EnvError("must be the path of a folder that exists.")
    return _location(text)


def _location(text: str) -> Path | None:
    return Path(text) if text else None


def _level(text: str) -> str:
    if (level := text.strip().upper()) not in LOG_LEVELS:
        raise EnvError(f"must be one of: {', '.join(LOG_LEVELS)}.")
    return level


PARSERS = {
    "database": _database,
    "redis": _redis,
    "storage": _storage,
    "http": _http,
    "size": _size,
    "seconds": _seconds,
    "days": _days,
    "hours": _hours,
    "rate": _rate,
    "schedule": _schedule,
    "names": _names,
    "networks": _networks,
    "ports": _ports,
    "extensions": _extensions,
    "file": _file,
    "folder": _folder,
    "level": _level,
    "location": _location,
}

"""What one start consists of: which services are our own, which are given, and the environment of all."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from local import parts, unprivileged
from local.failures import LocalError
from local.files import read_or_none, write_private
from local.home import ROOT, Home
from local.leftovers import MARK
from local.parts import Part
from local.ports import free_port
from local.postgres import Postgres
from local.valkey import Valkey

FLOWER_PORT = 5555
FLOWER_USER = "vitrine"
MIN_WORKERS = 2
HIGHEST_PORT = 65_535
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, not bound


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything decided before the first process starts. A service that is given from outside is None."""

    environ: dict[str, str]
    host: str
    port: int
    postgres: Postgres | None
    valkey: Valkey | None
    analyst_port: int | None
    flower_port: int
    metrics: Path
    """Where web and workers share what they count. Not for Flower, whose own metrics would be among them."""

    @property
    def url(self) -> str:
        """The address of the page and the API."""
        host = ANY_ADDRESS.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def flower_url(self) -> str:
        """Flower's address with the user and password that open it."""
        return f"http://{self.environ['FLOWER_BASIC_AUTH']}@127.0.0.1:{self.flower_port}"

    @property
    def own_ports(self) -> dict[str, int]:
        """The ports that were chosen here, by part: nothing but luck keeps them free until they are bound."""
        ports = {
            "valkey": self.valkey and self.valkey.port,
            "analyst": self.analyst_port,
            "flower": self.flower_port,
        }
        return {name: port for name, port in ports.items() if port}

    @property
    def services(self) -> list[Part]:
        """Our own services, in starting order."""
        found = []
        if self.postgres:
            user = self.postgres.account.name if self.postgres.account else None
            found.append(parts.postgres(self.postgres.command(), user))
        if self.valkey:
            found.append(parts.valkey(self.valkey.command()))
        if self.analyst_port:
            found.append(parts.analyst(self.analyst_port))
        return found

    @property
    def application(self) -> list[Part]:
        """Vitrine's own processes, in starting order."""
        workers = max(MIN_WORKERS, len(os.sched_getaffinity(0)))
        counting = {"PROMETHEUS_MULTIPROC_DIR": str(self.metrics)}
        return [
            parts.web(counting),
            *parts.workers(workers, counting),
            parts.postman(counting),
            parts.flower(self.flower_port),
        ]


def read_environ() -> dict[str, str]:
    """The environment, completed by the .env file beside the code."""
    from_file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None}
    return from_file | dict(os.environ)


def make_plan(home: Home, run: Path, given: Mapping[str, str]) -> Plan:
    """Decide on a start. Raises LocalError where Postgres has no place or user."""
    kept = _read_kept(home)
    database = None if given.get("DATABASE_URL") else _own_postgres(home, run)
    valkey = None if given.get("REDIS_URL") else _own_valkey(home, kept)
    analyst = None if given.get("OPENAI_BASE_URL") else free_port(kept.get("analyst_port"))
    flower = free_port(kept.get("flower_port") or FLOWER_PORT)
    flower_password = kept.get("flower_password") or secrets.token_hex(16)
    own = {
        MARK: str(home.path),
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{flower_password}",
        "STORAGE_URL": given.get("STORAGE_URL") or (home.path / "blobs").as_uri(),
    }
    own |= {"DATABASE_URL": database.url()} if database else {}
    own |= {"REDIS_URL": valkey.url} if valkey else {}
    own |= _analyst_environ(analyst, given) if analyst else {}
    host, port = listening_address(given)
    own |= {"HOST": host, "PORT": str(port)}
    _write_kept(home, kept, flower_port=flower, flower_password=flower_password, analyst_port=analyst)
    if valkey:
        _write_kept(home, kept, valkey_port=valkey.port, valkey_password=valkey.password)
    return Plan(
        environ=dict(given) | own,
        host=host,
        port=port,
        postgres=database,
        valkey=valkey,
        analyst_port=analyst,
        flower_port=flower,
        metrics=run / "metrics",
    )


def listening_address(given: Mapping[str, str]) -> tuple[str, int]:
    """The host and port of the web process. Raises LocalError for a PORT that is none."""
    text = given.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) <= HIGHEST_PORT:
        raise LocalError(f"PORT must be a number from 1 to {HIGHEST_PORT}, not {text!r}.")
    return given.get("HOST") or "127.0.0.1", int(text)


def _own_postgres(home: Home, run: Path) -> Postgres:
    account = unprivileged.postgres_account()
    data = home.path / "postgres"
    if account and not unprivileged.is_reachable(data):
        data = unprivileged.shared_folder("postgres", data) / "data"
    return Postgres(data, run / "postgres", account)


def _own_valkey(home: Home, kept: Mapping[str, Any]) -> Valkey:
    password = kept.get("valkey_password") or secrets.token_hex(16)
    return Valkey(home.path / "valkey", free_port(kept.get("valkey_port")), password)


def _analyst_environ(port: int, given: Mapping[str, str]) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "OPENAI_API_KEY": given.get("OPENAI_API_KEY") or "local",
        "VISION_MODEL": "pixel-analyst",
        "EMBEDDING_MODELS": "pixel-analyst",
    }


def _read_kept(home: Home) -> dict[str, Any]:
    try:
        return dict(json.loads(read_or_none(home.kept) or "{}"))
    except ValueError:
        return {}


def _write_kept(home: Home, kept: dict[str, Any], **values: str | int | None) -> None:
    kept.update({name: value for name, value in values.items() if value})
    write_private(home.kept, json.dumps(kept, indent=2) + "\n")


def moved_data(home: Home, plan: Plan) -> str | None:
    """One line about where Postgres keeps its data, when that is not in the home."""
    if plan.postgres is None or plan.postgres.data.is_relative_to(home.path):
        return None
    user = plan.postgres.account.name if plan.postgres.account else ""
    return f"Postgres keeps its data in {plan.postgres.data}: its user {user} may not enter {home.path}."

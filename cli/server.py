"""Which server a command speaks to, and with which key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import click

from cli.failure import Failure
from cli.nearby import LocalStack, local_stack

HOW = "start one with `python3 dev up`, or set VITRINE_URL and VITRINE_API_KEY"


@dataclass(frozen=True, slots=True)
class Server:
    """A server and a key to it. The key is never shown, nor a password in the address."""

    url: str = field(repr=False)
    key: str = field(repr=False)
    stack: LocalStack | None = None

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.url).hostname in {"127.0.0.1", "::1", "localhost"}


def asks_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --url and --key to a command, which gets the Server they lead to as `server`."""

    @click.option(
        "--url", envvar="VITRINE_URL", metavar="URL", show_envvar=True, help="Address of the server."
    )
    @click.option(
        "--key",
        envvar="VITRINE_API_KEY",
        metavar="KEY",
        show_envvar=True,
        help="API key; others on this machine can see it when it is given here.",
    )
    @wraps(command)
    def wrapper(*args: Any, url: str | None, key: str | None, **kwargs: Any) -> Any:
        return command(*args, server=find(url, key), **kwargs)

    return wrapper


def find(url: str | None, key: str | None) -> Server:
    """The server that is named, else the local stack that runs nearby. Raises Failure, or UsageError."""
    stack = None if url and key else local_stack()
    local = stack.addresses if stack else {}
    if not url and not local:
        raise Failure(f"There is no Vitrine server to ask: {HOW}.")
    chosen = _address(url or str(local["url"]))
    if not key and chosen != str(local.get("url", "")).rstrip("/"):
        # A local stack's key is nobody else's business.
        raise Failure(f"There is no API key for {Server(chosen, '').name}: set VITRINE_API_KEY.")
    return Server(chosen, _secret(key or str(local.get("api_key", ""))), None if url else stack)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise click.UsageError("VITRINE_URL (or --url) must be an address such as http://127.0.0.1:8000.")
    return url.strip().rstrip("/")


def _secret(key: str) -> str:
    if not key.strip().isascii() or not key.strip().isprintable() or " " in key.strip():
        raise click.UsageError("VITRINE_API_KEY (or --key) is not an API key: those begin with vt_.")
    return key.strip()

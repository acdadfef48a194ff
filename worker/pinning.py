"""Connections to addresses that were checked, under the names that were asked for, until a deadline."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from socket import EAI_AGAIN, SOCK_STREAM, gaierror, getaddrinfo
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import filter_host

from core.addresses import Address, AddressRules
from worker.deadline import Deadline
from worker.outbound_errors import OutboundError, Why

LookUp = Callable[[str, int], Sequence[Address]]
"""All addresses of a host, in the order to try; raises OSError or UnicodeError."""


class PinningAdapter(HTTPAdapter):
    """Looks a name up once, checks all addresses that it has, and connects to one of those.

    Raises OutboundError, AddressNotAllowed or InvalidIPAddress.
    """

    def __init__(
        self, rules: AddressRules, look_up: LookUp, trust: ssl.SSLContext, deadline: Deadline
    ) -> None:
        self._rules = rules
        self._look_up = look_up
        self._trust = trust
        self._deadline = deadline
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As requests does, with our certificates."""
        super().init_poolmanager(*args, **options, ssl_context=self._trust)

    def cert_verify(self, *_: Any) -> None:
        """Nothing: requests would read its certificates into the context again with each connection."""

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Where to connect to: a checked address, with Host, SNI and certificate of the name."""
        place: dict[str, Any]
        options: dict[str, Any]
        place, options = super().build_connection_pool_key_attributes(request, verify, cert)  # type: ignore[assignment]
        url = request.url or ""
        target = self._rules.check(url)  # as requests spells it, which may not be how the user did
        request.headers["Host"] = urlsplit(url).netloc
        if target.scheme == "https":
            options["server_hostname"] = target.host
        place["host"] = self._checked(target.host, target.port)
        return place, options

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """A pool whose connections end at the deadline."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _watched(pool.ConnectionCls, self._deadline)
        return pool

    def _checked(self, host: str, port: int) -> str:
        addresses = _within(self._deadline, lambda: self._look_up(host, port))
        if not addresses:
            raise OutboundError(Why.NAME_NOT_FOUND)
        if not all(self._rules.allows(address) for address in addresses):
            raise OutboundError(Why.NOT_ALLOWED)
        first = addresses[0]
        if self._rules.lists(first):
            return f"[{first}]" if first.version == 6 else str(first)
        return str(filter_host(str(first), port, allow_loopback=False))  # has a list of its own


def addresses_of(host: str, port: int) -> Sequence[Address]:
    """All addresses of a host by the system's resolver, in its order."""
    found = getaddrinfo(host, port, type=SOCK_STREAM)
    return [ip_address(place[0]) for *_, place in found]


def _within(deadline: Deadline, look_up: Callable[[], Sequence[Address]]) -> Sequence[Address]:
    """What is looked up, if that takes no longer than the deadline: a resolver knows none."""
    found: Future[Sequence[Address]] = Future()

    def work() -> None:
        try:
            found.set_result(look_up())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=work, name="look-up", daemon=True).start()
    try:
        return found.result(deadline.left)
    except TimeoutError:
        raise OutboundError(Why.NAME_UNANSWERED) from None
    except gaierror as error:
        why = Why.NAME_UNANSWERED if error.errno == EAI_AGAIN else Why.NAME_NOT_FOUND
        raise OutboundError(why) from error
    except (OSError, UnicodeError) as error:  # a name too long, for one
        raise OutboundError(Why.NAME_NOT_FOUND) from error


def _watched(kind: type[Any], deadline: Deadline) -> type[Any]:
    """A kind of connection that ends at the deadline."""

    class Watched(kind):  # type: ignore[misc]  # urllib3 has one for http and one for https
        def _new_conn(self) -> Any:
            connection = super()._new_conn()
            deadline.watch(connection)
            return connection

    return Watched

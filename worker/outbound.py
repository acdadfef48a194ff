"""The one door to addresses that users give: images to fetch, receivers of webhooks.

A name is looked up once, every address that it has must be allowed, and the connection is made to the one
that was checked (worker/pinning.py). requests-hardened brings the session, and a list of networks of its own
behind ours. Each request has a connection of its own, all of it ends at one deadline, redirects are never
followed here, and the environment's proxies do not count.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import certifi
import requests
import urllib3
from requests_hardened import Config, HTTPSession

from core.addresses import AddressRules, Target
from core.errors import AddressNotAllowed
from worker.deadline import Deadline
from worker.outbound_errors import OutboundError, Why, translated
from worker.pinning import LookUp, PinningAdapter, addresses_of

CONNECT_SECONDS = 10.0
PIECE = 64 * 1024
"""Bytes read at once."""
HEADERS = {"Accept-Encoding": "identity", "Connection": "close"}
SESSION = Config(
    ip_filter_enable=True,
    ip_filter_allow_loopback_ips=False,
    never_redirect=True,
    default_timeout=(CONNECT_SECONDS, CONNECT_SECONDS),
    user_agent_override="Vitrine",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver said."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    """How it begins."""
    is_whole: bool
    """Whether that is all of it."""


class Answer:
    """An answer whose head is here and whose body is still to come."""

    def __init__(self, response: requests.Response, deadline: Deadline) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        """Names in any case."""
        self._raw: urllib3.HTTPResponse = response.raw
        self._deadline = deadline

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, not decompressed. Raises OutboundError."""
        while piece := self._piece():
            yield piece

    def begin(self, most: int) -> tuple[bytes, bool]:
        """Up to so many bytes of the body, and whether that is all of it; what breaks off is not."""
        begin = bytearray()
        try:
            for piece in self.pieces():
                begin += piece
                if len(begin) > most:
                    return bytes(begin[:most]), False
        except OutboundError:
            return bytes(begin), False
        return bytes(begin), True

    def _piece(self) -> bytes:
        with translated(self._deadline):
            piece = self._raw.read1(PIECE, decode_content=False)
        if not piece and self._deadline.passed:  # cut off, which looks like an end
            raise OutboundError(Why.TIMED_OUT)
        return piece


class Outbound:
    """Asks servers that users name. For any number of threads."""

    def __init__(self, rules: AddressRules, look_up: LookUp | None = None) -> None:
        self._rules = rules
        self._look_up = look_up or addresses_of
        self._trust = _authorities()

    def target(self, url: str) -> Target:
        """Where an address leads, as far as its text tells. Raises OutboundError."""
        try:
            return self._rules.check(url)
        except AddressNotAllowed as error:
            raise OutboundError(Why.NOT_ALLOWED, error.message) from error

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Iterator[Answer]:
        """One request and its answer, which must be read within the context; all within so many seconds.

        A redirect is an answer like any other. Raises OutboundError.
        """
        with Deadline(seconds) as deadline, self._session(deadline) as session:
            self.target(url)
            with translated(deadline):
                response = session.request(
                    method,
                    url,
                    headers=HEADERS | dict(headers or {}),
                    data=body,
                    timeout=(min(CONNECT_SECONDS, deadline.left), deadline.left),
                    stream=True,
                )
            with response:
                yield Answer(response, deadline)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, most: int = PIECE
    ) -> Reply:
        """Send a body; the reply with up to `most` bytes of its own. Raises OutboundError.

        Once there is a status it stands, whatever becomes of the reply's body.
        """
        with self.exchange("POST", url, seconds=seconds, headers=headers, body=body) as answer:
            begin, is_whole = answer.begin(most)
            return Reply(answer.status, answer.headers, begin, is_whole)

    def _session(self, deadline: Deadline) -> _Session:
        session = _Session(SESSION)
        session.trust_env = False
        adapter = PinningAdapter(self._rules, self._look_up, self._trust, deadline)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Read once by a process: a hundred certificates take longer than a handshake."""
    trust = ssl.create_default_context(cafile=certifi.where())
    trust.load_default_certs()  # and the machine's own, where an intranet has its authority
    return trust


class _Session(HTTPSession):  # type: ignore[misc]  # published without type information
    """Has no redirects at all.

    Where they are not followed, requests still prepares what would be next, and for that reads and
    decompresses all that the redirect says.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the base class names it
        """No answer leads anywhere."""
        return

"""HTTP to a server: one session, errors as one sentence, patience where it helps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from cli.failure import Failure, Unreachable
from cli.interrupt import Interrupt
from cli.server import Server

CONNECT_SECONDS = 10.0
"""Also the time that each piece of an upload has."""
READ_SECONDS = 30.0
TRIES = 5
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before asking again when a connection broke."""
LONGEST_PAUSE = 60.0
"""Seconds of Retry-After beyond which a person would rather hear of it."""
BUSY = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Answers that may be different in a moment, where they say in how long."""
HOPELESS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class Refused(Failure):
    """The server said no."""

    def __init__(
        self, message: str, status: int, code: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details or {}


class BrokenOff(Unreachable):
    """The connection broke after it was made: what was sent may have arrived."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered, and after how many seconds to ask again, where it says so."""

    body: dict[str, Any]
    retry_after: float | None


def named(text: str) -> str:
    """What a user names, as one segment of a path whatever is in it. Raises Failure for what is none."""
    if text in {"", ".", ".."}:  # which would be another path
        raise Failure(f"There is nothing by the name {text!r}.")
    return quote(text, safe="")


class Connection:
    """A way to a server's API. Safe to share between threads."""

    root = "/api/v1"

    def __init__(
        self, server: Server, interrupt: Interrupt, note: Callable[[str], None], connections: int = 1
    ) -> None:
        self.interrupt = interrupt
        self._server = server
        self.say = note
        self._session = requests.Session()
        self._session.auth = self._sign  # as a header, ~/.netrc would take its place
        self._session.trust_env = not server.is_here  # no proxy leads to this machine
        adapter = HTTPAdapter(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def _ask(self, method: str, path: str, **content: Any) -> Reply:
        """Ask, and ask again where the server is busy and says for how long. Raises Refused, Unreachable."""
        return self._reply(self._send_patiently(method, path, **content))

    def _ask_again(self, method: str, path: str, *, words: str = "Looking again", **content: Any) -> Reply:
        """The same for what may be asked twice: asks again also when the connection breaks."""
        for pause in PAUSES:
            try:
                return self._ask(method, path, **content)
            except Unreachable as problem:
                if self.interrupt.asked:
                    raise
                self.say(f"{problem.message} {words} in {pause:.0f} s.")
                self.interrupt.sleep(pause)
        return self._ask(method, path, **content)

    def _pieces(
        self, path: str, *, method: str = "GET", patient: bool = False, **content: Any
    ) -> Iterator[bytes]:
        """The body of an answer piece by piece as it comes. Raises Refused, and Unreachable also half way."""
        send = self._send_patiently if patient else self._send
        with send(method, path, stream=True, **content) as answer:
            if not answer.ok or answer.is_redirect:
                self._reply(answer)
            with self._translated():
                yield from answer.iter_content(None)

    def _send_patiently(self, method: str, path: str, **content: Any) -> requests.Response:
        """The answer; where the server is busy and says for how long, that to another try."""
        for left in reversed(range(TRIES)):
            answer = self._send(method, path, **content)
            pause = _retry_after(answer)
            if answer.status_code not in BUSY or pause is None or pause > LONGEST_PAUSE or not left:
                break
            if self.interrupt.asked:
                break
            answer.close()
            self.say(f"The server is busy ({answer.status_code}); trying again in {pause:.0f} s.")
            self.interrupt.sleep(pause)
        return answer

    def _send(
        self, method: str, path: str, *, patience: float = READ_SECONDS, **content: Any
    ) -> requests.Response:
        with self._translated():
            return self._session.request(
                method,
                f"{self._server.url}{self.root}{path}",
                timeout=(CONNECT_SECONDS, patience),
                allow_redirects=False,  # a POST would arrive as a GET
                **content,
            )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What goes wrong on the way, as Unreachable or BrokenOff."""
        try:
            yield
        except requests.exceptions.SSLError as problem:
            raise Unreachable(f"{self._server.name} cannot be trusted: {_innermost(problem)}.") from problem
        except requests.ConnectionError as problem:
            raise self._unreachable(problem) from problem
        except requests.Timeout as problem:
            raise BrokenOff(f"{self._server.name} does not answer in time.") from problem
        except requests.RequestException as problem:
            raise BrokenOff(f"{self._server.name} breaks off its answers.") from problem

    def _unreachable(self, problem: requests.ConnectionError) -> Unreachable:
        name = self._server.name
        inner = str(problem)
        if not any(word in inner for word in ("NewConnectionError", "NameResolutionError", "ConnectTimeout")):
            return BrokenOff(f"The connection to {name} broke.")
        if stack := self._server.stack:
            return Unreachable(
                f"Nothing answers at {name}, which {stack.home} names: is it still running? "
                "`python3 dev up` starts it."
            )
        return Unreachable(f"Nothing answers at {name}: is the server running, and is VITRINE_URL right?")

    def _reply(self, answer: requests.Response) -> Reply:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.ok and isinstance(body, dict) and not answer.is_redirect:
            return Reply(body, _retry_after(answer))
        if isinstance(body, dict) and isinstance(body.get("error"), str):
            details = body.get("details")
            raise Refused(
                self._sentence(answer, body),
                answer.status_code,
                str(body.get("error_code", "")),
                details if isinstance(details, dict) else {},
            )
        if answer.is_redirect:
            raise Unreachable(
                f"{self._server.name} leads on to {answer.headers['Location']}: use that address."
            )
        raise Refused(
            f"{self._server.name} answered {answer.status_code}, but not as a Vitrine server does.",
            answer.status_code,
        )

    def _sentence(self, answer: requests.Response, body: dict[str, Any]) -> str:
        message = str(body["error"])
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            message = f"{self._server.name} does not accept the API key: check VITRINE_API_KEY (or --key)"
        request_id = body.get("request_id") or answer.headers.get("X-Request-ID", "unknown")
        return f"{message.rstrip().removesuffix('.')} (request {request_id})."

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._server.key}"
        return request


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _innermost(problem: BaseException) -> str:
    """The last words of an error that was wrapped several times."""
    return str(problem).rpartition("] ")[2].rstrip(")'. ") or type(problem).__name__

"""What can go wrong between us and somebody else's server, in one error that says why."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum, auto

import requests
import urllib3
from requests_hardened.ip_filter import InvalidIPAddress

from core.errors import AddressNotAllowed
from worker.deadline import Deadline


class Why(StrEnum):
    """Why nothing came of a request."""

    NOT_ALLOWED = auto()
    NAME_NOT_FOUND = auto()
    NAME_UNANSWERED = auto()
    UNREACHABLE = auto()
    INSECURE = auto()
    TIMED_OUT = auto()
    BROKEN_OFF = auto()
    TOO_LARGE = auto()
    TOO_MANY_REDIRECTS = auto()


SENTENCES = {
    Why.NOT_ALLOWED: "The host's address is not a public one.",
    Why.NAME_NOT_FOUND: "There is no host of that name.",
    Why.NAME_UNANSWERED: "The host's name cannot be looked up just now.",
    Why.UNREACHABLE: "The host cannot be reached.",
    Why.INSECURE: "The host's certificate is not valid.",
    Why.TIMED_OUT: "The host did not answer in time.",
    Why.BROKEN_OFF: "The host broke the connection, or does not speak HTTP.",
    Why.TOO_LARGE: "The host sent too much.",
    Why.TOO_MANY_REDIRECTS: "The host redirects too often.",
}
LASTING = frozenset(
    {Why.NOT_ALLOWED, Why.NAME_NOT_FOUND, Why.INSECURE, Why.TOO_LARGE, Why.TOO_MANY_REDIRECTS}
)


class OutboundError(Exception):
    """Nothing came of a request; `message` is a sentence for whoever gave the address."""

    def __init__(self, why: Why, message: str | None = None) -> None:
        self.why = why
        self.message = message or SENTENCES[why]
        super().__init__(self.message)

    @property
    def again(self) -> bool:
        """Whether another try may go better."""
        return self.why not in LASTING


@contextmanager
def translated(deadline: Deadline) -> Iterator[None]:
    """Raise what goes wrong within as an OutboundError."""
    try:
        yield
    except AddressNotAllowed as error:
        raise OutboundError(Why.NOT_ALLOWED, error.message) from error
    except requests.exceptions.InvalidURL as error:
        raise OutboundError(Why.NOT_ALLOWED, "This is not an address that can be read.") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise OutboundError(Why.TIMED_OUT if deadline.passed else _why(error)) from error


def _why(error: BaseException) -> Why:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return Why.TIMED_OUT
    if isinstance(error, InvalidIPAddress):
        return Why.NOT_ALLOWED
    causes = {type(cause) for cause in _causes(error)}
    if ssl.SSLCertVerificationError in causes:
        return Why.INSECURE
    return Why.UNREACHABLE if urllib3.exceptions.NewConnectionError in causes else Why.BROKEN_OFF


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

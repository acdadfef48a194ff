"""What can go wrong at the endpoint, turned into our errors: said once, for every way of asking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import aiohttp
import httpx2
import openai

from core.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    ModelError,
    ModelOverloaded,
    QuotaExhausted,
    RateLimitExceeded,
    Timeout,
    UpstreamError,
    VitrineError,
)
from worker import limits
from worker.limits import Signals
from worker.posting import Refused

MESSAGE_LENGTH = 500
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""There was no connection, so nothing left."""
BROKEN = (openai.APIConnectionError, httpx2.HTTPError, aiohttp.ClientError)
FAILURES = (openai.OpenAIError, httpx2.HTTPError, aiohttp.ClientError, TimeoutError, Refused)
"""What a call may meet: the client hands on some of what those below it raise."""

NO_REASON = "it gave no reason."
REFUSED_KEY = "The endpoint refused Vitrine's own credentials."
ABOUT_KEY = re.compile(r"api[ _-]?key|authenticat|unauthori[sz]ed|credential", re.IGNORECASE)
ABOUT_FORMAT = re.compile(r"response_format|json_schema|structured output|guided", re.IGNORECASE)


class FormatRefused(ModelError):
    """The endpoint does not take the form that the answer was to have."""


class CallFailed(Exception):
    """A call brought no answer.

    `error` is what the client will see if nothing better comes; `again` whether another try makes sense;
    `counts` whether it uses up a try; `billed` is False where it certainly cost nothing, None where nobody
    can tell; `signals` is what it told about the endpoint; `refusal` the words of a refusal that stands.
    """

    signals = Signals()
    refusal: dict[str, Any] | None = None

    def __init__(
        self, error: VitrineError, *, again: bool, counts: bool = True, billed: Literal[False] | None = False
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.counts = counts
        self.billed = billed


def translated(error: Exception) -> CallFailed:
    """What one of FAILURES means for the analysis that asked."""
    if isinstance(error, openai.APIStatusError):
        error = Refused(error.status_code, error.response.headers, error.body)
    if isinstance(error, Refused):
        failure = _refused(error)
        has_quota = not isinstance(failure.error, QuotaExhausted)
        failure.signals = limits.read(error.status, error.headers, has_quota=has_quota)
        return failure
    if _came_of(error, UNSENT):
        # An outage is waited out, for as long as the analysis may take: nothing was sent, nothing is paid.
        return CallFailed(UpstreamError("The endpoint cannot be reached."), again=True, counts=False)
    if is_timeout(error):
        return CallFailed(Timeout("The endpoint did not answer in time."), again=True, billed=None)
    if isinstance(error, openai.APIError) and error.body:
        return _told_amid(error.body)
    if _came_of(error, BROKEN):
        return CallFailed(UpstreamError("The endpoint broke the connection."), again=True, billed=None)
    return CallFailed(
        UpstreamError("The endpoint answered in a way that makes no sense."), again=True, billed=None
    )


def senseless() -> CallFailed:
    """For a reply that cannot be read; it may have been paid for."""
    received = UpstreamError("The endpoint answered with something that is no answer.")
    return CallFailed(received, again=True, billed=None)


def status_of(error: Exception) -> str:
    """The HTTP status that a call ended with, or how it ended without one."""
    if isinstance(error, openai.APIStatusError):
        return str(error.status_code)
    if isinstance(error, Refused):
        return str(error.status)
    return "timeout" if is_timeout(error) else "broken"


def is_timeout(error: Exception) -> bool:
    """Whether it was too late."""
    return _came_of(error, TimeoutError)


def _came_of(error: BaseException | None, kinds: type[Exception] | tuple[type[Exception], ...]) -> bool:
    """Whether an error is one of these kinds, or came of one.

    What the client makes of aiohttp's errors does not tell: a server that hangs up is a time-out to it.
    """
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__
    return error is not None


def _refused(error: Refused) -> CallFailed:
    """A status that is no success: turned away and so not billed, unless something lost the answer."""
    status = error.status
    if status == 429:
        return _limited(error)
    if status in (408, 409) or status >= 500:
        return _broken(error)
    if status in (401, 403):
        return CallFailed(UpstreamError(REFUSED_KEY), again=False)
    failure = CallFailed(_refusal(error), again=False)
    failure.refusal = {"status_code": status, "body": {"error": _fields(error, failure.error.message)}}
    return failure


def _told_amid(body: object) -> CallFailed:
    """An error where a chunk should be: in the endpoint's words, unless they are about Vitrine's own key."""
    fields = body if isinstance(body, Mapping) else {"message": body}
    said = short(fields.get("message"), MESSAGE_LENGTH) or NO_REASON
    if ABOUT_KEY.search(f"{said} {fields.get('type')} {fields.get('code')}"):
        return CallFailed(UpstreamError(REFUSED_KEY), again=True, billed=None)
    return CallFailed(UpstreamError(f"The endpoint broke off its answer: {said}"), again=True, billed=None)


def _refusal(error: Refused) -> VitrineError:
    code, param = (str(error.fields.get(name) or "") for name in ("code", "param"))
    said = _said(error)
    if "context_length" in code:
        return ContextLengthExceeded(said)
    if "content_policy" in code or "content_filter" in code:
        return ContentPolicyViolation(said)
    kind = FormatRefused if ABOUT_FORMAT.search(f"{param} {said}") else ModelError
    return kind(f"The endpoint refused the request with status {error.status}: {said}")


def _fields(error: Refused, ours: str) -> dict[str, str | None]:
    """An error's fields in OpenAI's shape; what the endpoint left out that has to be there in our words."""
    own = {
        name: short(error.fields.get(name), MESSAGE_LENGTH) for name in ("message", "type", "param", "code")
    }
    return {**own, "message": own["message"] or ours, "type": own["type"] or "invalid_request_error"}


def _limited(error: Refused) -> CallFailed:
    if "insufficient_quota" in (error.fields.get("code"), error.fields.get("type")):
        return CallFailed(QuotaExhausted(), again=False)
    wait = limits.retry_after(error.headers)
    limited = RateLimitExceeded("The endpoint's rate limit is reached.", retry_after=wait)
    return CallFailed(limited, again=True, counts=False)


def _broken(error: Refused) -> CallFailed:
    status, wait = error.status, limits.retry_after(error.headers)
    if status in (503, 529):
        overloaded = ModelOverloaded(f"The endpoint is overloaded: {_said(error)}", retry_after=wait)
        return CallFailed(overloaded, again=True)
    failed = UpstreamError(f"The endpoint failed with status {status}: {_said(error)}", retry_after=wait)
    return CallFailed(failed, again=True, billed=None if status in (408, 504) else False)


def _said(error: Refused) -> str:
    return short(error.fields.get("message"), MESSAGE_LENGTH) or NO_REASON


def short(value: Any, length: int) -> str | None:
    """The beginning of a text, fit to be stored; None for anything else."""
    return value.replace("\0", "")[:length] if isinstance(value, str) and value else None

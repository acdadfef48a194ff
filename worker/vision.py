"""The one place that talks to the endpoint, and that turns what can go wrong there into our errors.

The asynchronous client runs on one event loop in a thread of its own: that gives every call a deadline for
the whole of it (the client's own timeouts are per chunk) and all of them one pool of connections. Task
threads hand calls over and wait.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import aiohttp
import httpx2
import openai
import orjson

from config import Settings
from core import metrics
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
from core.live_text import storable
from core.pricing import Usage
from worker import limits
from worker.assembly import Assembly
from worker.limits import Signals
from worker.paths import EMBEDDINGS

CONNECT_SECONDS = 10.0
PING_SECONDS = 5.0
HAND_OVER_SECONDS = 5.0
MESSAGE_LENGTH = 500
MOST_TOKENS = 2**31 - 1
"""What Postgres holds as an integer; more is no count of tokens."""
EVENT_STREAM = "text/event-stream"
NO_KEY = "none"
"""The client insists on a key; endpoints on this machine want none."""
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""There was no connection, so nothing left."""
FAILURES = (openai.OpenAIError, httpx2.HTTPError, aiohttp.ClientError, TimeoutError)
"""What a call may meet: the client hands on some of what those below it raise."""

ABOUT_FORMAT = re.compile(r"response_format|json_schema|structured output|guided", re.IGNORECASE)

T = TypeVar("T")


class FormatRefused(ModelError):
    """The endpoint does not take the form that the answer was to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request to the endpoint, at a path below its address."""

    path: str
    parameters: Mapping[str, Any]
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the endpoint answered."""

    text: str
    refusal: str | None
    finish_reason: str | None
    usage: Usage
    upstream_id: str | None
    signals: Signals
    completion: dict[str, Any]
    """All of it, as it was given."""


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


class Vision:
    """Asks the endpoint on behalf of many threads."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.call_timeout
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vision", daemon=True)
        self._thread.start()
        connections = settings.worker_concurrency + 1  # one for the ping
        self._client = openai.AsyncOpenAI(
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key or NO_KEY,
            max_retries=0,  # the client would sleep through Retry-After inside a call
            timeout=httpx2.Timeout(self._timeout, connect=CONNECT_SECONDS),
            http_client=openai.DefaultAioHttpClient(  # half the CPU of the other for each token of a stream
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
                trust_env=False,
            ),
        )

    def ask(self, ask: Ask) -> Reply:
        """The endpoint's answer within the call timeout. Raises CallFailed and nothing else."""
        try:
            with _measured():
                response = self._run(self._ask(ask), self._timeout)
        except FAILURES as error:
            raise _translated(error) from error
        return _reply(ask.path, response.text, limits.read(response.status_code, response.headers))

    def stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> Reply:
        """As `ask`, telling chunks as they come; `tell` must not wait. Raises CallFailed, and as it does."""
        try:
            with _measured():
                completion, signals = self._run(self._stream(ask, tell), self._timeout)
        except FAILURES as error:
            raise _translated(error) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _senseless() from error
        return _reply(ask.path, completion, signals)

    def ping(self) -> float:
        """Seconds that the endpoint takes to list its models, which costs nothing. Raises CallFailed."""
        start = time.monotonic()
        try:
            self._run(self._client.models.list(), PING_SECONDS)
        except FAILURES as error:
            raise _translated(error) from error
        return time.monotonic() - start

    def close(self) -> None:
        """Close the connections; calls on their way fail."""
        self._run(self._client.close(), HAND_OVER_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HAND_OVER_SECONDS)

    async def _ask(self, ask: Ask) -> httpx2.Response:
        # Raw both ways: the client hands a body that is not JSON on as if it were an answer, and takes
        # milliseconds to look through images for what it may have to convert, and to encode them.
        return await self._client.post(
            ask.path,
            cast_to=httpx2.Response,
            content=_encoded(ask.parameters),
            options={"headers": {"X-Request-ID": ask.request_id, "Content-Type": "application/json"}},
        )

    async def _stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> tuple[str, Signals]:
        """The whole completion, as JSON."""
        assembly = Assembly()
        async with await self._client.post(
            ask.path,
            cast_to=object,
            content=_encoded(ask.parameters),
            options={"headers": {"X-Request-ID": ask.request_id, "Content-Type": "application/json"}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        ) as stream:
            signals = limits.read(stream.response.status_code, stream.response.headers)
            if not stream.response.headers.get("Content-Type", "").startswith(EVENT_STREAM):
                return (await stream.response.aread()).decode(), signals
            async for chunk in stream:
                assembly.add(cast("dict[str, Any]", chunk))
                tell(cast("dict[str, Any]", chunk))
        if not assembly.is_whole():
            raise CallFailed(UpstreamError("The endpoint broke off its answer."), again=True, billed=None)
        return json.dumps(assembly.completion()), signals

    def _run(self, work: Awaitable[T], seconds: float) -> T:
        return self._start(work, seconds).result(seconds + HAND_OVER_SECONDS)

    def _start(self, work: Awaitable[T], seconds: float) -> Future[T]:
        async def within() -> T:
            async with asyncio.timeout(seconds):
                return await work

        return asyncio.run_coroutine_threadsafe(within(), self._loop)


@contextmanager
def _measured() -> Iterator[None]:
    """Count a call by how it was answered, and its time."""
    status = "200"
    try:
        with metrics.CALL_DURATION.time():
            yield
    except Exception as error:
        status = _status(error)
        raise
    finally:
        metrics.RESPONSES.labels(status).inc()


def _status(error: Exception) -> str:
    if isinstance(error, openai.APIStatusError):
        return str(error.status_code)
    return "timeout" if _came_of(error, TimeoutError) else "broken"


def _encoded(parameters: Mapping[str, Any]) -> bytes:
    """As JSON; what orjson does not take (numbers beyond 64 bits, lone surrogates) the slower way."""
    try:
        return orjson.dumps(parameters)
    except orjson.JSONEncodeError:
        return json.dumps(parameters).encode()


def _reply(path: str, body: str, signals: Signals) -> Reply:
    """The parts of a body that we use. A body that makes no sense may still have been paid for."""
    try:
        completion = json.loads(body)
        choice = _choice(path, completion)
        message = choice["message"]
        refusal = message.get("refusal")
        return Reply(
            text=_text(message.get("content")),
            refusal=str(refusal) if refusal else None,
            finish_reason=_short(choice.get("finish_reason"), 40),
            usage=_usage(completion.get("usage") or {}),
            upstream_id=_short(completion.get("id"), 200),
            signals=signals,
            completion=completion,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        failure = _senseless()
        failure.signals = signals
        raise failure from error


def _choice(path: str, completion: dict[str, Any]) -> dict[str, Any]:
    """The first choice of a chat; embeddings say nothing."""
    if path == EMBEDDINGS and isinstance(completion["data"], list):
        return {"message": {}}
    choice: dict[str, Any] = completion["choices"][0]
    return choice


def _senseless() -> CallFailed:
    received = UpstreamError("The endpoint answered with something that is no answer.")
    return CallFailed(received, again=True, billed=None)


def _text(content: Any) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError("content is not text")
    return storable(content or "")


def _usage(usage: dict[str, Any]) -> Usage:
    prompt, completion = (
        usage.get("prompt_tokens_details") or {},
        usage.get("completion_tokens_details") or {},
    )
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")),
        image_tokens=_count(prompt.get("image_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
    )


def _translated(error: Exception) -> CallFailed:
    if isinstance(error, openai.APIStatusError):
        failure = _refused(error)
        has_quota = not isinstance(failure.error, QuotaExhausted)
        failure.signals = limits.read(error.status_code, error.response.headers, has_quota=has_quota)
        return failure
    if _came_of(error, UNSENT):
        # An outage is waited out, for as long as the analysis may take: nothing was sent, nothing is paid.
        return CallFailed(UpstreamError("The endpoint cannot be reached."), again=True, counts=False)
    if _came_of(error, TimeoutError):
        return CallFailed(Timeout("The endpoint did not answer in time."), again=True, billed=None)
    if _came_of(error, (openai.APIConnectionError, httpx2.HTTPError, aiohttp.ClientError)):
        return CallFailed(UpstreamError("The endpoint broke the connection."), again=True, billed=None)
    return CallFailed(
        UpstreamError("The endpoint answered in a way that makes no sense."), again=True, billed=None
    )


def _came_of(error: BaseException | None, kinds: type[Exception] | tuple[type[Exception], ...]) -> bool:
    """Whether an error is one of these kinds, or came of one.

    What the client makes of aiohttp's errors does not tell: a server that hangs up is a time-out to it.
    """
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__
    return error is not None


def _refused(error: openai.APIStatusError) -> CallFailed:
    """A status that is no success: turned away and so not billed, unless something lost the answer."""
    status, code = error.status_code, str(error.code or "")
    if status == 429:
        return _limited(error)
    if status in (408, 409) or status >= 500:
        return _broken(error)
    if status in (401, 403):
        return CallFailed(UpstreamError("The endpoint refused Vitrine's own credentials."), again=False)
    failure = CallFailed(_refusal(code, str(error.param or ""), _said(error)), again=False)
    failure.refusal = {"status_code": status, "body": {"error": _fields(error)}}
    return failure


def _refusal(code: str, param: str, said: str) -> VitrineError:
    if "context_length" in code:
        return ContextLengthExceeded(said)
    if "content_policy" in code or "content_filter" in code:
        return ContentPolicyViolation(said)
    kind = FormatRefused if ABOUT_FORMAT.search(f"{param} {said}") else ModelError
    return kind(f"The endpoint refused the request: {said}")


def _fields(error: openai.APIStatusError) -> dict[str, str | None]:
    """An error's fields in OpenAI's shape."""
    own = {name: _short(getattr(error, name, None), MESSAGE_LENGTH) for name in ("type", "param", "code")}
    return {"message": _said(error), **own}


def _limited(error: openai.APIStatusError) -> CallFailed:
    if "insufficient_quota" in (error.code, error.type):
        return CallFailed(QuotaExhausted(), again=False)
    wait = limits.retry_after(error.response.headers)
    limited = RateLimitExceeded("The endpoint's rate limit is reached.", retry_after=wait)
    return CallFailed(limited, again=True, counts=False)


def _broken(error: openai.APIStatusError) -> CallFailed:
    status, wait = error.status_code, limits.retry_after(error.response.headers)
    if status in (503, 529):
        overloaded = ModelOverloaded(f"The endpoint is overloaded: {_said(error)}", retry_after=wait)
        return CallFailed(overloaded, again=True)
    failed = UpstreamError(f"The endpoint failed with status {status}: {_said(error)}", retry_after=wait)
    return CallFailed(failed, again=True, billed=None if status in (408, 504) else False)


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return _short(message, MESSAGE_LENGTH) or f"status {error.status_code}"


def _short(value: Any, length: int) -> str | None:
    return value.replace("\0", "")[:length] if isinstance(value, str) and value else None


def _count(value: Any) -> int:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if known else 0

"""The one place that talks to the endpoint.

All calls run on one event loop in a thread of its own: that gives every call a deadline for the whole of it
(the libraries' own timeouts are per chunk) and lets all of them share connections. Task threads hand calls
over and wait.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import httpx2
import openai
import orjson

from config import Settings
from core import metrics
from core.errors import UpstreamError
from core.live_text import storable
from core.pricing import Usage
from worker import limits
from worker.assembly import Assembly
from worker.limits import Signals
from worker.paths import EMBEDDINGS
from worker.posting import CONNECT_SECONDS, Posts
from worker.vision_errors import FAILURES, CallFailed, senseless, short, status_of, translated

PING_SECONDS = 5.0
HAND_OVER_SECONDS = 5.0
MOST_TOKENS = 2**31 - 1
"""What Postgres holds as an integer; more is no count of tokens."""
EVENT_STREAM = "text/event-stream"
NO_KEY = "none"
"""The client insists on a key; endpoints on this machine want none."""
T = TypeVar("T")


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
        self._posts = Posts(self._client, settings.worker_concurrency)

    def ask(self, ask: Ask) -> Reply:
        """The endpoint's answer within the call timeout. Raises CallFailed and nothing else."""
        try:
            with _measured():
                post = self._posts.post(ask.path, _encoded(ask.parameters), ask.request_id)
                answered = self._run(post, self._timeout)
        except FAILURES as error:
            raise translated(error) from error
        return _reply(ask.path, answered.text, limits.read(answered.status, answered.headers))

    def stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> Reply:
        """As `ask`, telling chunks as they come; `tell` must not wait. Raises CallFailed, and as it does."""
        try:
            with _measured():
                completion, signals = self._run(self._stream(ask, tell), self._timeout)
        except FAILURES as error:
            raise translated(error) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise senseless() from error
        return _reply(ask.path, completion, signals)

    def ping(self) -> float:
        """Seconds that the endpoint takes to list its models, which costs nothing. Raises CallFailed."""
        start = time.monotonic()
        try:
            self._run(self._client.models.list(), PING_SECONDS)
        except FAILURES as error:
            raise translated(error) from error
        return time.monotonic() - start

    def close(self) -> None:
        """Close the connections; calls on their way fail."""
        for connections in (self._posts, self._client):
            self._run(connections.close(), HAND_OVER_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HAND_OVER_SECONDS)

    async def _stream(self, ask: Ask, tell: Callable[[dict[str, Any]], None]) -> tuple[str, Signals]:
        """The whole completion, as JSON."""
        assembly = Assembly()
        # Encoded here: the client takes milliseconds to look through images for what it may have to convert.
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
        status = status_of(error)
        raise
    finally:
        metrics.RESPONSES.labels(status).inc()


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
            finish_reason=short(choice.get("finish_reason"), 40),
            usage=_usage(completion.get("usage") or {}),
            upstream_id=short(completion.get("id"), 200),
            signals=signals,
            completion=completion,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        failure = senseless()
        failure.signals = signals
        raise failure from error


def _choice(path: str, completion: dict[str, Any]) -> dict[str, Any]:
    """The first choice of a chat; embeddings say nothing."""
    if path == EMBEDDINGS and isinstance(completion["data"], list):
        return {"message": {}}
    choice: dict[str, Any] = completion["choices"][0]
    return choice


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


def _count(value: Any) -> int:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if known else 0

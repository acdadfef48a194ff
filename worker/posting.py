"""Posts to the endpoint and reads the whole answer, on the library that carries the OpenAI client as well.

What goes over the wire is what that client sends. Around it the client takes 1.4 ms of CPU a call (models of
its options, URLs and headers put together anew), where the post itself takes 0.8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import aiohttp
import httpx2
import openai

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 5.0
"""After which a connection is closed, before the endpoint does so under a post."""


class Answered(NamedTuple):
    """A successful answer, whole."""

    text: str
    status: int
    headers: Mapping[str, str]


class Refused(Exception):
    """A status that is no success; `fields` are those of the error that came with it, where one did."""

    def __init__(self, status: int, headers: Mapping[str, str], body: object) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers
        error = body.get("error", body) if isinstance(body, Mapping) else None
        self.fields: Mapping[str, Any] = error if isinstance(error, Mapping) else {}


class Posts:
    """Posts with an OpenAI client's address and headers; used and closed on one event loop."""

    def __init__(self, client: openai.AsyncOpenAI, connections: int) -> None:
        self._url = str(client.base_url).rstrip("/")
        headers = {**client.default_headers, **client.auth_headers}
        self._headers = {name: value for name, value in headers.items() if isinstance(value, str)}
        self._connections = connections

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=IDLE_SECONDS,
                ssl=httpx2.create_ssl_context(trust_env=False),  # whom the client trusts
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def post(self, path: str, content: bytes, request_id: str) -> Answered:
        """Post JSON to a path below the address. Raises Refused, aiohttp.ClientError, TimeoutError."""
        headers = {"X-Request-ID": request_id}
        async with self._session.post(f"{self._url}{path}", data=content, headers=headers) as response:
            text = (await response.read()).decode(errors="replace")
            if 200 <= response.status < 300:
                return Answered(text, response.status, response.headers)
            raise Refused(response.status, response.headers, _parsed(text))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _parsed(text: str) -> object:
    """A body that may be JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

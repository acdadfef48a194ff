"""`POST /v1/chat/completions`."""

import asyncio
import json
import time
from http import HTTPStatus
from uuid import uuid4

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, stream_request_body

from local.analyst.answering import Work, work_on
from local.analyst.errors import ApiError
from local.analyst.handlers import JsonHandler
from local.analyst.knobs import Fault
from local.analyst.ledger import Call
from local.analyst.replies import Reply
from local.analyst.request import MODEL

MOST_BYTES = 64 * 1024 * 1024
CLIENT_LEFT = 499  # nginx's status for it; never sent, only recorded
GARBAGE = "<html><body>This is not the JSON you are looking for.</body></html>"


class ClientLeftError(Exception):
    """The client closed the connection before its answer was sent."""


@stream_request_body
class CompletionsHandler(JsonHandler):
    """One call: admit, measure, misbehave if told to, answer; and enter it in the ledger."""

    call: Call

    def prepare(self) -> None:
        """Enter the call as it arrives, before its body."""
        self._received = bytearray()
        self._too_large = False
        self._left = asyncio.Event()
        if self.request.method != "POST":
            raise HTTPError(405)
        self.call = self.desk.ledger.open(self.request.headers.get("X-Request-ID"))

    def data_received(self, chunk: bytes) -> None:
        """Collect the body; one over the limit is dropped."""
        # It is still read to its end, so that the client is listening when the refusal comes.
        self._too_large = self._too_large or len(self._received) + len(chunk) > MOST_BYTES
        if self._too_large:
            self._received.clear()
        else:
            self._received += chunk

    async def post(self) -> None:
        """Answer the call."""
        try:
            await self._serve()
        except (ClientLeftError, StreamClosedError):
            self.desk.ledger.close(self.call, CLIENT_LEFT)
        except ApiError as error:
            self.desk.ledger.close(self.call, error.status)
            raise
        except Exception:
            self.desk.ledger.close(self.call, HTTPStatus.INTERNAL_SERVER_ERROR)
            raise

    def on_connection_close(self) -> None:
        """Let whoever waits know that nobody is waiting any more."""
        if hasattr(self, "call"):
            self._left.set()
            self.desk.ledger.close(self.call, CLIENT_LEFT)

    async def _serve(self) -> None:
        self._tell(self.desk.admit())
        if self._too_large:
            raise ApiError(
                413, f"The body of the request is over {MOST_BYTES} bytes.", code="request_too_large"
            )
        work = await self._work()
        self._tell(self.desk.admit_tokens(work.answer.prompt_tokens + work.answer.completion_tokens))
        knobs = self.desk.knobs
        await self._wait(knobs.delay(self.call.n))
        await self._answer(work, knobs.fault(self.call.n))

    def _tell(self, limits: dict[str, str]) -> None:
        for name, value in limits.items():
            self.set_header(name, value)

    async def _work(self) -> Work:
        """Measure on a thread: the event loop stays free for everyone who only waits."""
        body, self._received = bytes(self._received), bytearray()
        work = await asyncio.get_running_loop().run_in_executor(self.desk.executor, work_on, body)
        self.call.describe(work, MODEL)
        if self.desk.shelf:
            self.desk.shelf.keep(work)
        return work

    async def _wait(self, seconds: float | None) -> None:
        """Wait, for ever if `seconds` is None; raises ClientLeftError as soon as the client leaves."""
        if self._left.is_set():
            raise ClientLeftError
        if seconds == 0:
            return
        try:
            await asyncio.wait_for(self._left.wait(), seconds)
        except TimeoutError:
            return
        raise ClientLeftError

    async def _answer(self, work: Work, fault: Fault | None) -> None:
        match fault:
            case "hang":
                await self._wait(None)
            case "limited":
                raise ApiError(
                    429,
                    "The pixel analyst was told to turn this call away.",
                    kind="requests",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": "1"},
                )
            case "error":
                raise ApiError(
                    self.desk.knobs.error_status,
                    "The pixel analyst was told to fail this call.",
                    kind="server_error",
                    code="injected_failure",
                )
            case "garbage":
                await self._send(GARBAGE, "text/html; charset=utf-8")
            case _:
                await self._complete(work, empty=fault == "empty")

    async def _complete(self, work: Work, *, empty: bool) -> None:
        self.call.id = f"chatcmpl-{uuid4().hex}"
        answer = work.answer.emptied() if empty else work.answer.repeated(self.desk.knobs.repeats)
        reply = Reply(self.call.id, int(time.time()), answer)
        if work.request.stream:
            await self._stream(reply, include_usage=work.request.include_usage)
        else:
            await self._send(json.dumps(reply.completion(), ensure_ascii=False), "application/json")

    async def _send(self, body: str, content_type: str) -> None:
        self.set_header("Content-Type", content_type)
        self.desk.ledger.close(self.call, HTTPStatus.OK)
        await self.finish(body)

    async def _stream(self, reply: Reply, *, include_usage: bool) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        chunks = list(reply.chunks(include_usage=include_usage))
        knobs = self.desk.knobs
        for place, chunk in enumerate(chunks):
            if place == len(chunks) // 2 and knobs.breaks(self.call.n):
                self.detach().close()
                raise ClientLeftError
            self.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n")
            await self.flush()
            await self._wait(knobs.token_pace)
        self.desk.ledger.close(self.call, HTTPStatus.OK)
        await self.finish("data: [DONE]\n\n")

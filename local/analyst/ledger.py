"""What the endpoint was asked: one entry per call, in the order of arrival."""

import json
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any

from local.analyst.answering import Work

MOST_CALLS = 100_000  # about 60 MB; older calls are still counted
MOST_IMAGE_BYTES = 256 * 1024 * 1024


@dataclass
class Call:
    """One call. `id` is that of its answer. `status` is null until it ends; 499: the client left first."""

    n: int
    at: str
    request_id: str | None
    id: str | None = None
    status: int | None = None
    model: str | None = None
    images: list[dict[str, Any]] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    stream: bool = False

    def describe(self, work: Work, model: str) -> None:
        """Note what was asked and how many tokens the answer costs."""
        self.model = model
        self.stream = work.request.stream
        self.prompt_tokens = work.answer.prompt_tokens
        self.completion_tokens = work.answer.completion_tokens
        self.images = [
            {"sha256": m.sha256, "width": m.width, "height": m.height, "bytes": m.bytes, "format": m.format}
            for m in work.measured
        ]


class Ledger:
    """Calls received (`count`), and those answered with status 200 (`answered`)."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None
        self.reset()

    def reset(self) -> None:
        """Forget all calls and start counting from 1; the file, if any, keeps its lines."""
        self._calls: deque[Call] = deque(maxlen=MOST_CALLS)
        self._open: dict[int, Call] = {}
        self._count = 0
        self._answered = 0

    def open(self, request_id: str | None) -> Call:
        """Enter a call that has just come in."""
        self._count += 1
        call = Call(self._count, datetime.now(UTC).isoformat(timespec="milliseconds"), request_id)
        self._calls.append(call)
        self._open[call.n] = call
        return call

    def close(self, call: Call, status: int) -> None:
        """Note how a call ended; only the first ending counts."""
        if call.status is not None:
            return
        call.status = status
        # A call from before a reset ends unseen: another may have its number by now.
        if self._open.get(call.n) is call:
            del self._open[call.n]
            self._answered += status == HTTPStatus.OK
        if self._file:
            self._file.write(json.dumps(asdict(call)) + "\n")

    def page(self, after: int, limit: int) -> dict[str, Any]:
        """List calls with a number above `after`, oldest first."""
        calls = islice((call for call in self._calls if call.n > after), limit)
        return {"count": self._count, "answered": self._answered, "calls": [asdict(call) for call in calls]}


class ImageShelf:
    """The latest images as received, for tests that check what reaches an endpoint."""

    def __init__(self) -> None:
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, work: Work) -> None:
        """Keep a call's images; the oldest make room."""
        for measurement, picture in zip(work.measured, work.request.pictures, strict=True):
            if measurement.sha256 not in self._images:
                self._images[measurement.sha256] = picture.data
                self._bytes += len(picture.data)
        while self._bytes > MOST_IMAGE_BYTES:
            self._bytes -= len(self._images.popitem(last=False)[1])

    def find(self, digest: str) -> bytes | None:
        """Give an image's bytes, if they are still here."""
        return self._images.get(digest)

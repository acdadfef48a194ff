"""What streams of tokens cost: `python3 dev bench tokenstreams [--quick]`.

First one at a time: when the first token is there, straight from the pixel analyst and through a Vitrine of
its own, in turns; what Vitrine adds, without the preparation of the image, is what is told. Then 200 at
once through two web processes, begun within ten seconds, at twenty tokens a second each: the longest
silence of any stream, and what `/health` takes meanwhile; beside it the same streams straight from the
analyst, by the same client.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from bench import _system as system
from bench._system import System
from bench.imaging import photo

STREAMS, QUICK_STREAMS = 200, 40
ROUNDS, QUICK_ROUNDS = 100, 20
TOKENS_PER_SECOND = 20
BEGIN_SECONDS = 10
"""In which all streams begin: each takes some 40 ms of CPU until its first token, from those that run too."""
REPEATS = 25
"""Times that the analyst says its answer of some 28 words: 35 seconds of tokens."""
HEALTH_EVERY = 0.1
BOUNDARY = "vitrine"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
QUESTION = "What colour is it?"
PREPARATION = """\
SELECT extract(epoch FROM c.created_at - a.started_at) FROM calls c JOIN analyses a ON a.id = c.analysis_id
ORDER BY c.created_at DESC LIMIT %s"""
"""Seconds from the claim to the entry of the call, of the last analyses: images, mostly."""


@dataclass
class Seen:
    """What a client saw of one stream; times in seconds since it asked."""

    first: float = 0.0
    last: float = 0.0
    longest_silence: float = 0.0
    tokens: int = 0
    text: str = ""

    def token(self, text: str, now: float) -> None:
        """Another piece of the answer."""
        if self.tokens:
            self.longest_silence = max(self.longest_silence, now - self.last)
        else:
            self.first = now
        self.tokens, self.last, self.text = self.tokens + 1, now, self.text + text


@dataclass
class Crowd:
    """Many streams at once, and what `/health` took beside them."""

    streams: list[Seen]
    health: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each part of Vitrine while they ran."""


def main() -> None:
    """Measure both, and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer streams, fewer rounds")
    quick = parser.parse_args().quick
    streams, rounds = (QUICK_STREAMS, QUICK_ROUNDS) if quick else (STREAMS, ROUNDS)
    with system.running(
        {"worker-1": []}, WORKER_CONCURRENCY=str(STREAMS), WEB_PROCESSES="2", CALL_TIMEOUT="300"
    ) as vitrine:
        authorization = str(vitrine.session("a shop").headers["Authorization"])
        through, straight = _through(vitrine, authorization), _straight(vitrine)
        asyncio.run(_one_by_one({"warm": through}, 10))
        ways = {"direct": straight, "Vitrine": through, "Vitrine, the whole": _whole(vitrine, authorization)}
        firsts = asyncio.run(_one_by_one(ways, rounds))
        preparation = _preparation(vitrine, rounds)
        vitrine.turn(token_pace=1 / TOKENS_PER_SECOND, repeats=REPEATS)
        crowds = {
            "direct": asyncio.run(_at_once(straight, streams, vitrine)),
            "Vitrine": asyncio.run(_at_once(through, streams, vitrine)),
        }
    Console().print(_first_tokens(firsts, preparation))
    Console().print(_crowds(crowds))
    Console().print(_cpu(crowds["Vitrine"]))


Ask = Callable[[], AsyncIterator[str]]
"""Asks, and gives the texts of an answer as they come."""


def _whole(vitrine: System, authorization: str) -> Ask:
    """The same without a stream, when all of the answer is there."""
    url = f"{vitrine.url}/api/v1/image/analyze"
    return lambda: _texts(url, _form(), FORM, authorization, lambda data: data.get("answer"))


def _through(vitrine: System, authorization: str) -> Ask:
    url = f"{vitrine.url}/api/v1/image/analyze-stream"
    return lambda: _texts(url, _form(), FORM, authorization, lambda data: data.get("text"))


@cache
def _form() -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="question"\r\n\r\n{QUESTION}\r\n'.encode(),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="cache"\r\n\r\noff\r\n'.encode(),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode(),
        _image(),
        f"\r\n--{BOUNDARY}--\r\n".encode(),
    ]
    return b"".join(parts)


def _straight(vitrine: System) -> Ask:
    image = f"data:image/jpeg;base64,{base64.b64encode(_image()).decode()}"
    content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": image}}]
    asked = {"model": "pixel-analyst", "stream": True, "messages": [{"role": "user", "content": content}]}
    body, url = json.dumps(asked).encode(), f"{vitrine.analyst}/v1/chat/completions"
    return lambda: _texts(url, body, "application/json", "", _content)


def _content(chunk: dict[str, Any]) -> str | None:
    text: str | None = chunk["choices"][0]["delta"].get("content") if chunk.get("choices") else None
    return text


async def _texts(
    url: str, body: bytes, kind: str, authorization: str, read: Callable[[dict[str, Any]], str | None]
) -> AsyncIterator[str]:
    """Post, and give the texts of the events. Raises ConnectionRefusedError for any status but 200."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
        f"Authorization: {authorization}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    try:
        if b" 200 " not in await reader.readline():
            raise ConnectionRefusedError((await reader.read(2_000)).decode())
        async for line in reader:
            data = line.removeprefix(b"data: ").strip()
            if data.startswith(b"{") and (text := read(json.loads(data))):
                yield text
    finally:
        writer.close()


async def _watch(ask: Ask) -> Seen:
    seen, started = Seen(), time.perf_counter()
    async for text in ask():
        seen.token(text, time.perf_counter() - started)
    return seen


async def _one_by_one(ways: dict[str, Ask], rounds: int) -> dict[str, list[float]]:
    """Seconds to the first token, each way in turns."""
    firsts: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, ask in ways.items():
            firsts[name].append((await _watch(ask)).first)
    return firsts


async def _at_once(ask: Ask, count: int, vitrine: System) -> Crowd:
    """So many streams, begun one after the other."""
    crowd, before = Crowd([]), vitrine.cpu_seconds()
    beside = asyncio.create_task(_health(vitrine, crowd.health))
    watching = []
    for _ in range(count):
        watching.append(asyncio.create_task(_watch(ask)))
        await asyncio.sleep(BEGIN_SECONDS / count)
    crowd.streams += await asyncio.gather(*watching)
    beside.cancel()
    crowd.cpu = {part: seconds - before[part] for part, seconds in vitrine.cpu_seconds().items()}
    return crowd


async def _health(vitrine: System, seconds: list[float]) -> None:
    place = urlsplit(vitrine.url)
    while True:
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(f"GET /health HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
        await reader.readline()
        seconds.append(time.perf_counter() - started)
        writer.close()
        await asyncio.sleep(HEALTH_EVERY)


def _preparation(vitrine: System, rounds: int) -> float:
    with vitrine.database() as connection:
        return median(float(row[0]) for row in connection.execute(PREPARATION, [rounds]))


def _image() -> bytes:
    buffer = BytesIO()
    photo(320, 240).save(buffer, "JPEG")
    return buffer.getvalue()


def _first_tokens(firsts: dict[str, list[float]], preparation: float) -> Table:
    direct = median(firsts["direct"])
    table = Table(title="The first token", caption=_machine())
    for name in ("way", "p50", "p95", "added at p50", "of that preparation", "ratio"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, seconds in firsts.items():
        middle, p95 = median(seconds), quantiles(seconds, n=20)[-1]
        own = ("", "") if name == "direct" else (_ms(middle - direct), _ms(preparation))
        table.add_row(name, _ms(middle), _ms(p95), *own, f"{middle / direct:.1f}")
    return table


def _crowds(crowds: dict[str, Crowd]) -> Table:
    table = Table(
        title=f"{len(crowds['direct'].streams)} streams at {TOKENS_PER_SECOND} tokens a second",
        caption=_machine(),
    )
    for name in ("way", "longest silence", "p99 of silences", "seconds", "events", "/health p50", "p99"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, crowd in crowds.items():
        silences = [seen.longest_silence for seen in crowd.streams]
        lasted = median(seen.last - seen.first for seen in crowd.streams)
        table.add_row(
            name,
            _ms(max(silences)),
            _ms(quantiles(silences, n=100)[-1]),
            f"{lasted:.1f}",
            f"{median(seen.tokens for seen in crowd.streams):.0f}",
            _ms(median(crowd.health)),
            _ms(quantiles(crowd.health, n=100)[-1]),
        )
    return table


def _cpu(crowd: Crowd) -> Table:
    """Of a busy machine the one figure that says little of its other guests."""
    table = Table(title="CPU of each part for a second of one stream", caption=_machine())
    for part in crowd.cpu:
        table.add_column(part, justify="right")
    of_streams = sum(seen.last - seen.first for seen in crowd.streams)
    table.add_row(*(_ms(seconds / of_streams) for seconds in crowd.cpu.values()))
    return table


def _machine() -> str:
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    main()

"""What a shop's own script would be: `python -m bench._plain ENDPOINT FOLDER CONCURRENCY`.

A process pool prepares, one HTTP client asks, a list keeps. No queue, no database, no second try. Prints
seconds and CPU seconds as JSON; starting up is in neither.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil

from bench._system import tree_cpu_seconds
from worker.imaging import Policy, prepare

POLICY = Policy()


def prepared(path: Path) -> str:
    """The picture of a file as it is sent."""
    return prepare(path.read_bytes(), POLICY).data_url()


async def ask(client: httpx2.AsyncClient, picture: str, question: str) -> dict[str, Any]:
    """The endpoint's answer to one question about one picture."""
    content = [
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "text", "text": question},
    ]
    body = {"model": "pixel-analyst", "messages": [{"role": "user", "content": content}]}
    response = await client.post("/chat/completions", json=body)
    answer: dict[str, Any] = response.raise_for_status().json()
    return answer


async def main(endpoint: str, paths: list[Path], concurrency: int) -> None:
    """Ask about every picture."""
    loop, slots = asyncio.get_running_loop(), asyncio.Semaphore(concurrency)
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, prepared, path) for path in paths[:4]))
        async with httpx2.AsyncClient(
            base_url=endpoint, limits=limits, timeout=60, trust_env=False
        ) as client:

            async def one(number: int, path: Path) -> dict[str, Any]:
                async with slots:
                    picture = await loop.run_in_executor(pool, prepared, path)
                    return await ask(client, picture, f"Which colour is the article on photo {number}?")

            started, spent = time.perf_counter(), tree_cpu_seconds(psutil.Process())
            answers = await asyncio.gather(*(one(number, path) for number, path in enumerate(paths)))
            seconds = time.perf_counter() - started
            spent = tree_cpu_seconds(psutil.Process()) - spent
    print(json.dumps({"answers": len(answers), "seconds": seconds, "cpu": spent}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sorted(Path(sys.argv[2]).iterdir()), int(sys.argv[3])))

"""Receivers of webhooks: `python -m bench._receivers WELL FILE`; the last one, beyond those, hangs.

Prints their ports. Each well one answers 204 after a pause, and writes the id and the time into the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import TextIO

PAUSE = 0.05
"""Seconds that a receiver takes to answer."""
ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


async def main(well: int, file: Path) -> None:
    """Serve until we are killed."""
    with file.open("a", buffering=1) as told:
        servers = [await _server(told, hangs=number == well) for number in range(well + 1)]
        print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
        await asyncio.gather(*(server.serve_forever() for server in servers))


async def _server(told: TextIO, *, hangs: bool) -> asyncio.Server:
    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            arrived = time.time()
            names = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(names["content-length"]))
            if hangs:
                await reader.read()
                return
            await asyncio.sleep(PAUSE)
            writer.write(ANSWER)
            await writer.drain()
            told.write(f"{names['webhook-id']} {arrived}\n")
        writer.close()

    return await asyncio.start_server(receive, "127.0.0.1", 0, backlog=256)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))

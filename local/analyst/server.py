"""Runs the analyst: routes, sockets, signals."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from local.analyst.completions import CompletionsHandler
from local.analyst.control import ImageHandler, KnobsHandler, LedgerHandler
from local.analyst.desk import Desk
from local.analyst.embeddings import EmbeddingsHandler
from local.analyst.handlers import HealthHandler, ModelsHandler, NotFoundHandler

BACKLOG = 1024  # hundreds of clients may connect in the same moment
# Far above the limit that clients meet: an oversized body is read and refused, not cut off.
MOST_BYTES_READ = 1024 * 1024 * 1024


def listen(host: str, port: int) -> list[socket.socket]:
    """Bind the address; raises OSError. Port 0 picks a free one."""
    return bind_sockets(port, host, backlog=BACKLOG)


def address(sockets: Sequence[socket.socket]) -> str:
    """Give the base URL for OpenAI clients."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


async def serve(sockets: Sequence[socket.socket], desk: Desk) -> None:
    """Serve until SIGTERM or SIGINT; calls that are still open are dropped."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    server = HTTPServer(application(desk), max_body_size=MOST_BYTES_READ)
    server.add_sockets(list(sockets))
    sys.stdout.write(f"pixel analyst on {address(sockets)}\n")  # the one line callers wait for
    sys.stdout.flush()
    await stop.wait()
    # Handlers that are cut short would each leave a traceback.
    logging.disable()
    server.stop()
    await server.close_all_connections()
    desk.executor.shutdown(wait=False, cancel_futures=True)


def application(desk: Desk) -> Application:
    """Join paths and handlers."""
    shared = {"desk": desk}
    routes = [
        (r"/health", HealthHandler, shared),
        (r"/v1/models", ModelsHandler, shared),
        (r"/v1/models/([^/]+)", ModelsHandler, shared),
        (r"/v1/chat/completions", CompletionsHandler, shared),
        (r"/v1/embeddings", EmbeddingsHandler, shared),
        (r"/control/knobs", KnobsHandler, shared),
        (r"/control/ledger", LedgerHandler, shared),
    ]
    if desk.shelf is not None:
        routes.append((r"/control/ledger/images/([0-9a-f]{64})", ImageHandler, shared))
    settings: dict[str, Any] = {
        "default_handler_class": NotFoundHandler,
        "default_handler_args": shared,
        "log_function": lambda _: None,  # the ledger is the access log
    }
    return Application(routes, **settings)

"""What a worker counted, for Prometheus, on a port of its own (METRICS_PORT)."""

from __future__ import annotations

import hmac
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from config import Settings

CLIENT_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Exposition:
    """An HTTP server in a thread; only `/metrics` is there, for who has the token, if there is one."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(token))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, settings: Settings) -> Exposition | None:
        """Where the settings want it; None where they do not, or the port is not to be had.

        Work goes on without: Prometheus sees for itself that nobody answers.
        """
        if not settings.metrics_port:
            return None
        try:
            return cls(settings.metrics_host, settings.metrics_port, settings.metrics_token)
        except OSError as error:
            log.error("metrics_not_served", port=settings.metrics_port, error=str(error))  # noqa: TRY400
            return None

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND)
            elif not _may_read(self.headers.get("Authorization", ""), token):
                self.send_error(HTTPStatus.UNAUTHORIZED)
            else:
                self._tell()

        def _tell(self) -> None:
            encode, media_type = choose_encoder(self.headers.get("Accept", ""))
            text = encode(REGISTRY)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _may_read(authorization: str, token: str) -> bool:
    kind, _, given = authorization.partition(" ")
    right = hmac.compare_digest(given.strip().encode(), token.encode())
    return not token or (kind.lower() == "bearer" and right)

"""Analyses over HTTP."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

from cli.connection import READ_SECONDS, BrokenOff, Connection, Refused, Reply, named
from cli.multipart import Upload

Analysis = dict[str, Any]

SUBMIT_WAIT = 2
"""Seconds for which a submission waits for its answer: most come within, and Ctrl-C waits no longer."""


class Client(Connection):
    """The analyses of a server."""

    def submit(self, upload: Upload) -> Analysis:
        """Submit an analysis once, even when the connection breaks, and wait for it a little.

        Raises Refused, Unreachable, or StoppedSending.
        """
        name = f"cli-{uuid.uuid4().hex}"
        headers = {"Content-Type": upload.content_type, "X-Request-ID": name, "Idempotency-Key": name}
        content: dict[str, Any] = {"data": upload, "headers": headers, "patience": SUBMIT_WAIT + READ_SECONDS}
        try:
            return self._ask("POST", "/analyses", **content).body
        except BrokenOff:
            return self._ask("POST", "/analyses", **content).body

    def look(self, analysis_id: str) -> Reply:
        """An analysis as it stands; asks again when the connection breaks. Raises Refused or Unreachable."""
        return self._ask_again("GET", f"/analyses/{named(analysis_id)}")

    def one(self, analysis_id: str) -> Analysis:
        """An analysis as it stands. Raises Refused or Unreachable."""
        return self._ask("GET", f"/analyses/{named(analysis_id)}").body

    def cancel(self, analysis_id: str) -> Analysis:
        """Cancel an analysis; gives it as it is then, which may be final already."""
        try:
            return self._ask("POST", f"/analyses/{named(analysis_id)}/cancel").body
        except Refused as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise
            return self.one(analysis_id)

    def page(self, **query: Any) -> dict[str, Any]:
        """A page of analyses, the newest first."""
        return self._ask("GET", "/analyses", params=query).body

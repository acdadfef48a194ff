"""Batches, and the files they are made from, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sseclient import Event, SSEClient

from cli.connection import Connection, Refused, named
from cli.failure import Failure
from cli.local_file import LocalFile
from cli.multipart import Upload

Batch = dict[str, Any]
"""A batch as the API shows it; of its stream, only what changes."""
Item = dict[str, Any]

SUBMIT_SECONDS = 300.0
"""All items are stored before the answer comes."""
KEPT_SECONDS = 30 * 86_400
"""After which an upload goes unless an analysis uses it, so those of a run that was broken off do as well."""


class BatchClient(Connection):
    """The batches of a server."""

    kept_seconds = KEPT_SECONDS

    def upload(self, file: LocalFile, purpose: str) -> str:
        """Upload a file; its id. Raises Refused, Unreachable, Failure, or StoppedSending."""
        body = Upload({"purpose": purpose, "expires_after": str(self.kept_seconds)}, [file], self.interrupt)
        headers = {"Content-Type": body.content_type}
        return str(
            self._ask_again("POST", "/files", words="Sending again", data=body, headers=headers).body["id"]
        )

    def rehearse(self, order: Mapping[str, Any]) -> None:
        """Let the server judge an order before anything is uploaded for it. Raises Failure.

        Its one item has no image, so that nothing is ever accepted; that alone is no problem.
        """
        defaults = order["defaults"]
        item = {} if {"question", "preset"} & defaults.keys() else {"question": "?"}
        try:
            alone = {name: value for name, value in order.items() if name != "group_by"}
            self._ask("POST", "/batches", json={**alone, "inputs": [item]})
        except Refused as refusal:
            if "errors" not in refusal.details:
                raise
            found = [error for error in refusal.details["errors"] if error["field"] != "images"]
            if found:
                raise Failure("; ".join(f"{error['field']}: {error['error']}" for error in found)) from None

    def submit(self, order: Mapping[str, Any], key: str) -> Batch:
        """Submit a batch once, even when the connection breaks. Raises Refused or Unreachable."""
        headers = {"Idempotency-Key": key, "X-Request-ID": key}
        return self._ask_again(
            "POST", "/batches", words="Sending again", json=order, headers=headers, patience=SUBMIT_SECONDS
        ).body

    def one(self, batch_id: str) -> Batch:
        """A batch as it stands; asks again when the connection breaks. Raises Refused or Unreachable."""
        return self._ask_again("GET", f"/batches/{named(batch_id)}").body

    def page(self, **query: Any) -> dict[str, Any]:
        """A page of batches, the newest first."""
        return self._ask("GET", "/batches", params=query).body

    def act(self, batch_id: str, verb: str, **body: Any) -> Batch:
        """Pause, resume, cancel or retry a batch; gives it as it is then."""
        return self._ask("POST", f"/batches/{named(batch_id)}/{verb}", json=body or None).body

    def items(self, batch_id: str, **query: Any) -> list[Item]:
        """A page of the items, in input order."""
        found: list[Item] = self._ask_again("GET", f"/batches/{named(batch_id)}/results", params=query).body[
            "data"
        ]
        return found

    def results(self, batch_id: str, form: str) -> Iterator[bytes]:
        """All results as `ndjson` or `csv`, piece by piece. Raises Refused, and Unreachable also half way."""
        return self._pieces(f"/batches/{named(batch_id)}/results", params={"format": form})

    def events(self, batch_id: str, last_event_id: str | None) -> Iterator[Event]:
        """What happens to a batch, live, behind an event. Raises Refused, and Unreachable also half way."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        return SSEClient(self._pieces(f"/batches/{named(batch_id)}/stream", headers=headers)).events()

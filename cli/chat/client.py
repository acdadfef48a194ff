"""Conversations over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sseclient import Event, SSEClient

from cli.connection import Connection, Refused, named
from cli.local_file import LocalFile
from cli.multipart import Upload

Session = dict[str, Any]
Message = dict[str, Any]


class ChatClient(Connection):
    """The sessions of a server."""

    root = "/api"

    def begin(self, system: str | None) -> Session:
        """A new session. Raises Refused or Unreachable."""
        return self._ask("POST", "/sessions", json={"system": system} if system else {}).body

    def one(self, session_id: str) -> Session:
        """A session as it stands. Raises Refused or Unreachable."""
        return self._ask("GET", f"/sessions/{named(session_id)}").body

    def delete(self, session_id: str) -> None:
        """Delete a session. Raises Refused or Unreachable."""
        self._ask("DELETE", f"/sessions/{named(session_id)}")

    def last(self, session_id: str, count: int) -> list[Message]:
        """The newest messages, in their order. Raises Refused or Unreachable."""
        query = {"order": "desc", "limit": count}
        page = self._ask("GET", f"/sessions/{named(session_id)}/messages", params=query).body
        return list(reversed(page["data"]))

    def speak(
        self,
        fields: Mapping[str, Any],
        images: Sequence[LocalFile],
        once: str,
        last_event_id: str | None = None,
    ) -> Iterator[Event]:
        """Say something, once however often it is sent; the answer live, behind an event.

        Waits a little for a session that answers another message. Raises Refused, StoppedSending, and
        Unreachable also half way.
        """
        headers = {"Idempotency-Key": once, "X-Request-ID": once, **_behind(last_event_id)}
        content: dict[str, Any] = {"json": fields}
        if images:
            told = {name: str(value) for name, value in fields.items()}
            upload = Upload(told, images, self.interrupt, name="images")
            headers["Content-Type"] = upload.content_type
            content = {"data": upload}
        return self._events("/chat/stream", method="POST", patient=True, headers=headers, **content)

    def follow(self, analysis_id: str, last_event_id: str | None = None) -> Iterator[Event]:
        """An answer that is being made, live. Raises Refused, and Unreachable also half way."""
        return self._events(f"/v1/analyses/{named(analysis_id)}/stream", headers=_behind(last_event_id))

    def cancel(self, analysis_id: str) -> bool:
        """Stop an answer; False where it has come to its end by itself."""
        try:
            self._ask("POST", f"/v1/analyses/{named(analysis_id)}/cancel")
        except Refused:
            return False
        return True

    def _events(self, path: str, **content: Any) -> Iterator[Event]:
        return iter(SSEClient(self._pieces(path, **content)).events())


def _behind(last_event_id: str | None) -> dict[str, str]:
    return {"Last-Event-ID": last_event_id} if last_event_id else {}

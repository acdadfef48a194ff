"""Events followed live, and posted on to a server under development as a webhook would be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click
import requests

from cli import wording
from cli.connection import Refused
from cli.failure import Unreachable
from cli.terminal import Screen
from cli.webhooks.client import WebhookClient
from core import signing

INTERRUPTED = 130
FORWARD_SECONDS = 15.0
PAUSE = 2.0
"""Seconds before following again when the connection broke."""


def listen(
    client: WebhookClient, screen: Screen, *, forward: str | None, secret: str | None, as_json: bool
) -> int:
    """Follow events until Ctrl-C; the exit status. Raises Failure, UsageError or Refused."""
    if forward is not None:
        _check_address(forward)
    if secret is not None and (problem := signing.problem_of(secret)):
        raise click.UsageError(problem)
    try:
        for name, data in _events(client, screen):
            if name == "listening":
                secret = secret or data["secret"]
                screen.note(_greeting(forward, secret))
            elif name == "message":
                _tell(data, forward, secret, as_json=as_json)
    except KeyboardInterrupt:
        pass  # how it is meant to end
    return INTERRUPTED


def _events(client: WebhookClient, screen: Screen) -> Iterator[tuple[str, Any]]:
    """Events, however often the connection breaks; what happens meanwhile is not told."""
    noted = None
    while True:
        try:
            for event in client.events():
                noted = None
                yield event.event, json.loads(event.data)
            problem = "The stream ended; following again."
        except Refused:
            raise
        except Unreachable as error:
            problem = f"{error.message} Following again; events of the meantime are not told here."
        if problem != noted:  # once, however long the server is away
            screen.note(problem)
        noted = problem
        time.sleep(PAUSE)


def _greeting(forward: str | None, secret: str) -> str:
    if forward is None:
        return "Listening; Ctrl-C ends it."
    return f"Posting events to {forward}, signed with {secret}\nListening; Ctrl-C ends it."


def _tell(message: dict[str, Any], forward: str | None, secret: str | None, *, as_json: bool) -> None:
    outcome = f" -> {_forwarded(message, forward, secret)}" if forward else ""
    if as_json:
        click.echo(wording.as_json(message))
    else:
        click.echo(wording.one_line(f"{message['type']}  {message['data'].get('id', '')}{outcome}"))


def _forwarded(message: dict[str, Any], forward: str, secret: str | None) -> str:
    """Post a message; what came of it, in a few words."""
    body = json.dumps(message, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        **signing.headers(message["id"], body, [secret] if secret else []),
    }
    start = time.monotonic()
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy leads to this machine
            answer = session.post(
                forward,
                data=body,
                headers=headers,
                timeout=FORWARD_SECONDS,
                allow_redirects=False,
                stream=True,
            )
    except requests.RequestException:
        return "nobody answers"
    return f"{answer.status_code} in {(time.monotonic() - start) * 1000:.0f} ms"


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits:
        raise click.UsageError("--forward takes an address such as http://localhost:3000/hook.")

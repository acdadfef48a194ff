"""vitrine chat: a conversation about products and their photos."""

from __future__ import annotations

import sys
from typing import Any

import click

from cli.chat.client import ChatClient
from cli.chat.lines import Lines
from cli.chat.talk import Talk, one_question
from cli.images import STANDARD_INPUT, look_at
from cli.interrupt import Interrupt
from cli.server import Server, asks_server
from cli.terminal import Screen


@click.command()
@click.option("--image", "images", multiple=True, metavar="FILE", help="Show a photo with the first message.")
@click.option("--session", "session_id", metavar="ID", help="Go on with a session rather than begin one.")
@click.option("--system", metavar="TEXT", help="What the model is told before everything else.")
@click.option("--model", metavar="NAME", help="Another model than the server's default.")
@click.option(
    "--detail", type=click.Choice(["auto", "low", "high", "max"]), help="How large photos are sent."
)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Longest answer, in tokens.")
@asks_server
def chat(
    images: tuple[str, ...],
    *,
    server: Server,
    session_id: str | None,
    system: str | None,
    **said: Any,
) -> int:
    """Talk with a model; answers are printed as they are made.

    Where standard input is no terminal, all of it is one question. The answer goes to standard output;
    tokens, cost, time, and how to go on to standard error.

    \b
    Examples:
      vitrine chat --image mug.jpg --system "You help to write listings."
      vitrine chat --session sess_01kaj3c0dpw8w0z3f6s9q2xk7v
      echo "A title for this, please." | vitrine chat --image mug.jpg

    Ctrl-C stops an answer, the next one leaves; so does the end of the input (Ctrl-D).
    """  # noqa: D301 - click wants the character
    if session_id is not None and system is not None:
        raise click.UsageError("A session keeps the system prompt that it began with: leave --system out.")
    if STANDARD_INPUT in images:
        raise click.UsageError("Standard input is for what you say: name the photo's file.")
    photos, screen, question = look_at(images), Screen(), _piped()
    interrupt = Interrupt()
    client = ChatClient(server, interrupt, screen.note)
    session = client.begin(system) if session_id is None else client.one(session_id)
    options = {name: value for name, value in said.items() if value is not None}
    talk = Talk(client, screen, session, options, is_new=session_id is None)
    if question is not None:
        return one_question(talk, question, photos)
    if session_id is not None:
        talk.recall()
    Lines(talk, screen, interrupt).converse(photos)
    return 0


def _piped() -> str | None:
    """What comes through a pipe; None on a terminal."""
    if sys.stdin.isatty():
        return None
    question = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not question.strip():
        raise click.UsageError("Standard input is empty: pipe a question into the command.")
    return question

"""vitrine ask: one question about one or more images."""

from __future__ import annotations

from typing import Any

import click

from cli import asking, wording
from cli.client import Analysis, Client
from cli.failure import Failure
from cli.images import is_image, look_at
from cli.interrupt import Interrupt
from cli.local_file import LocalFile
from cli.reading import answer_of, models_of, source_of
from cli.server import Server, asks_server
from cli.terminal import Screen
from core.states import FINAL

ARGUMENTS = "IMAGE... QUESTION"


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar=ARGUMENTS)
@click.option(
    "--preset", metavar="NAME", help="A prompt of the server, such as product; it may do for a question."
)
@click.option("--sku", metavar="SKU", help="Of the product that the images show.")
@click.option(
    "--view",
    multiple=True,
    metavar="NAME",
    callback=asking.listed,
    help="What an image shows, such as back; once for each.",
)
@asking.question_options
@asking.reuse_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole analysis as JSON.")
@click.option("--keep", is_flag=True, help="On Ctrl-C let the analysis go on rather than cancel it.")
@asks_server
def ask(
    arguments: tuple[str, ...], *, server: Server, preset: str | None, as_json: bool, keep: bool, **said: Any
) -> int:
    """Ask one question about one or more images, together, and print the answer.

    The last argument is the question; with --preset it may be left out. An IMAGE that is - is read from
    standard input. The answer goes to standard output; tokens, cost and time to standard error.

    \b
    Examples:
      vitrine ask mug.jpg "What colour is it?"
      vitrine ask front.jpg back.jpg "Is it the same shoe?" --view front --view back --sku A-1
      curl -s https://shop.example/mug.jpg | vitrine ask - "Is it chipped?" --json

    The exit status is 0 when there is an answer, 1 when there is none, 2 when the command is wrong, and
    130 after Ctrl-C, which cancels the analysis.
    """  # noqa: D301 - click wants the character
    images, question = _told_apart(arguments, preset)
    screen, interrupt = Screen(), Interrupt()
    client = Client(server, interrupt, screen.note)
    fields = {"question": question, "preset": preset, **said}
    with interrupt.listening(), screen.spinner("Waiting for the answer", interrupt):
        analysis = asking.ask(client, images, fields, keep=keep)
    _print(analysis, as_json=as_json)
    if analysis["status"] in FINAL and analysis["status"] != "cancelled":  # else the bill is not made yet
        screen.note(f"{wording.bill(analysis)}, {models_of(analysis)} ({analysis['id']})")
    if analysis.get("reused_from"):
        screen.note(f"Reused: {source_of(analysis)}.")
    return _status(analysis, screen, interrupted=interrupt.asked)


def _told_apart(arguments: tuple[str, ...], preset: str | None) -> tuple[list[LocalFile], str | None]:
    """The images and the question of a command line. Raises UsageError."""
    *paths, last = arguments
    if preset and is_image(last):
        return look_at(arguments), None
    if is_image(last):
        raise click.UsageError(f"The last argument is the question, but {last} is a file: add a question.")
    if not paths:
        raise click.UsageError(f"Give an image and a question: vitrine ask {ARGUMENTS}")
    if not last.strip():
        raise click.UsageError("The question is blank.")
    return look_at(paths), last


def _print(analysis: Analysis, *, as_json: bool) -> None:
    if as_json:
        click.echo(wording.as_json(analysis, indent=2))
    elif analysis["status"] == "completed":
        click.echo(answer_of(analysis))


def _status(analysis: Analysis, screen: Screen, *, interrupted: bool) -> int:
    """The exit status, with a sentence where it is not 0."""
    status = analysis["status"]
    if interrupted:
        screen.note(_after_interrupt(analysis))
        return 130
    if status != "completed":
        raise Failure(wording.problem_of(analysis))
    return 0


def _after_interrupt(analysis: Analysis) -> str:
    look = f"vitrine show {analysis['id']}"
    if analysis["status"] == "cancelled":
        return f"Cancelled. A call that was on its way may still cost something:\n  {look}"
    if analysis["status"] == "completed":
        return "It was answered before it could be cancelled."
    return wording.problem_of(analysis) if analysis["status"] in FINAL else f"It goes on: {look}"

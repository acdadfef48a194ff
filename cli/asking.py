"""One analysis from its submission to its end, cancelled when the user stops waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from cli.client import SUBMIT_WAIT, Analysis, Client
from cli.failure import Interrupted
from cli.local_file import LocalFile
from cli.multipart import StoppedSending, Upload
from core import reuse
from core.states import FINAL

FIRST_PAUSES = (0.5, 1.0)
"""Seconds before the first looks; after those, the server's Retry-After."""
PAUSE = 2.0


def listed(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> list[str] | None:
    """What a form repeats; nothing where nothing is given."""
    return list(given) or None


def reuse_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add whether an answer about another picture will do."""
    near = "near: an earlier answer about a picture that shows the same will do."
    return click.option("--reuse", type=click.Choice(["near"]), help=near)(command)


def _cache(_context: click.Context, _parameter: click.Parameter, value: str | None) -> reuse.Cache | None:
    """What --cache means. Raises BadParameter."""
    try:
        return None if value is None else reuse.parsed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _preset_options(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any] | None:
    """Options by name: JSON where a value is some, else its text; a name that is repeated has a list."""
    values: dict[str, list[Any]] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise click.UsageError(f"--option takes NAME=VALUE, not {text}.")
        values.setdefault(name, []).append(json_or_text(value))
    return {name: all_[0] if len(all_) == 1 else all_ for name, all_ in values.items()} or None


def json_or_text(value: str) -> Any:
    """What is given as a value: JSON where it is some, else its text."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


Options = tuple[Callable[[Any], Any], ...]

OF_MODELS: Options = (
    click.option("--context", metavar="TEXT", help="What you know already, such as the listing."),
    click.option("--model", metavar="NAME", help="Another model than the server's default."),
    click.option("--stronger-model", metavar="NAME", help="Asked too where the answer is not sure enough."),
    click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Longest answer, in tokens."),
)
OF_PRESETS: Options = (
    click.option(
        "--option",
        "preset_options",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_preset_options,
        help="An option of the preset; repeat for several, or for a list.",
    ),
)
OF_IMAGES: Options = (
    click.option(
        "--detail", type=click.Choice(["auto", "low", "high", "max"]), help="How large the image is sent."
    ),
    click.option("--max-image-tokens", type=click.IntRange(1), metavar="N", help="Most tokens of one image."),
    click.option(
        "--require-quality",
        multiple=True,
        metavar="RULES",
        callback=listed,
        help="Ask nothing where images break these rules, such as ebay; repeat for several.",
    ),
    click.option(
        "--cache",
        callback=_cache,
        metavar="auto|off|refresh|SECONDS",
        help="Whether an earlier answer to the very same may be given, and how old it may be.",
    ),
)


def question_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what may be said about any question."""
    return _with(command, (*OF_MODELS, *OF_PRESETS, *OF_IMAGES))


def trial_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what may be said where no image is sent."""
    return _with(command, (*OF_MODELS, *OF_PRESETS))


def _with(command: Callable[..., Any], options: Options) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def ask(
    client: Client, images: Sequence[LocalFile], fields: Mapping[str, Any], *, keep: bool = False
) -> Analysis:
    """Submit and wait until the analysis is final; after an interrupt, cancelled (with `keep`, as it stands).

    Raises Interrupted where nothing was accepted, Refused or Unreachable.
    """
    analysis = _submit(
        client, images, {name: _written(value) for name, value in fields.items() if value is not None}
    )
    pauses = iter(FIRST_PAUSES)
    pause: float | None = None
    while analysis["status"] not in FINAL and not client.interrupt.asked:
        client.interrupt.sleep(next(pauses, pause or PAUSE))
        if not client.interrupt.asked:
            reply = client.look(analysis["id"])
            analysis, pause = reply.body, reply.retry_after
    if analysis["status"] in FINAL or keep:
        return analysis
    return client.cancel(analysis["id"])


def _written(value: Any) -> str | list[str]:
    """A value as a field of a form, or as several of one name."""
    if isinstance(value, list):
        return [str(each) for each in value]
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _submit(
    client: Client, images: Sequence[LocalFile], fields: Mapping[str, str | Sequence[str]]
) -> Analysis:
    upload = Upload({**fields, "wait": str(SUBMIT_WAIT)}, images, client.interrupt)
    try:
        return client.submit(upload)
    except StoppedSending:
        raise Interrupted("Stopped before anything was asked.") from None

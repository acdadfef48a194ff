"""vitrine estimate: what a batch would take, before anything is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from cli import asking, wording
from cli.batch.sources import BY, BY_SKU
from cli.connection import Connection, Refused
from cli.failure import Failure
from cli.interrupt import Interrupt
from cli.server import Server, asks_server
from cli.sized import Sized, sized
from cli.terminal import Screen

METAVAR = "FOLDER|FILE.jsonl|FILE.csv|FILE.zip|IMAGE..."
NOTHING = "There is no image or item to estimate."
ASKED = {"question", "preset"}
NOT_COUNTED = {
    "reuse": "answers that are there already, which cost nothing",
}


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar=METAVAR)
@click.option("--preset", metavar="NAME", help="A prompt of the server, such as product.")
@click.option("--question", metavar="TEXT", help="What to ask about every image.")
@click.option("--by", type=click.Choice(BY), help="Make one item of all images of one product.")
@asking.question_options
@click.option("--temperature", type=click.FloatRange(0, 2), metavar="T", help="How freely it answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the estimate as JSON.")
@asks_server
def estimate(paths: tuple[str, ...], *, server: Server, by: str | None, as_json: bool, **said: Any) -> None:
    """Estimate tokens, cost and time of a batch, without running it: each image or row is an item.

    It takes what `vitrine batch` takes. Only the sizes of images are sent, and what rows say, so that answers
    which may be given again are not known. Answers are taken to be as long as your latest ones.

    \b
    Examples:
      vitrine estimate photos/ --preset product
      vitrine estimate catalogue.csv --model gpt-4.1 --detail high
      vitrine estimate photos.zip --preset product --by folder
    """  # noqa: D301 - click wants the character
    screen = Screen()
    defaults = {name: value for name, value in said.items() if value is not None}
    found = _items(paths, by, screen)
    # Those of several sources may be alike; null is as if left out.
    inputs = [{**(each.item or {}), "custom_id": None} for each in found]
    if not any(ASKED & asked.keys() for asked in (defaults, *inputs)):
        raise click.UsageError("Say what to ask about the images: --question, or --preset.")
    body = {"inputs": inputs, "defaults": defaults, **({"group_by": BY_SKU} if by else {})}
    try:
        answer = EstimateClient(server, Interrupt(), screen.note).estimate(body)
    except Refused as refusal:
        raise _told(refusal, found, screen) from refusal
    click.echo(wording.as_json(answer, indent=2) if as_json else described(answer))


class EstimateClient(Connection):
    """The estimates of a server."""

    def estimate(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a batch would take. Raises Refused or Unreachable."""
        return self._ask("POST", "/estimate", json=body).body


def described(found: dict[str, Any]) -> str:
    """An estimate as people read it."""
    usage = found["usage"]
    images = usage["prompt_tokens_details"]["image_tokens"]
    asked = f"{usage['prompt_tokens']:,} asked ({images:,} of them images)"
    lines = [
        f"{wording.count(found['items'], 'item')}, {wording.count(found['images'], 'image')}",
        f"Tokens  {usage['total_tokens']:,}: {asked}, {usage['completion_tokens']:,} answered",
        f"Cost    {_cost(found)}",
        f"Time    {_time(found['seconds'])}",
    ]
    if found["cached"]:
        lines.append(f"Cached  {wording.count(found['cached'], 'item')} need no call of their own")
    if found["saved_image_tokens"]:
        lines.append(f"Saved   {found['saved_image_tokens']:,} tokens, against images as they are")
    # Servers before this one do not say what follows.
    if embeddings := found.get("embeddings"):
        lines.append(_embeddings(embeddings))
    if assumed := list(_assumed(found.get("assumed", {}))):
        lines.append(f"Assumed {'; '.join(assumed)}")
    if left_out := found.get("not_counted"):
        lines.append(f"Not counted: {'; '.join(NOT_COUNTED.get(name, name) for name in left_out)}.")
    return "\n".join([*lines, *found["warnings"]])


def _cost(found: dict[str, Any]) -> str:
    return wording.amount(found["cost"]["total_cost"], found["cost"]["currency"])


def _embeddings(found: dict[str, Any]) -> str:
    tokens = f"{found['usage']['total_tokens']:,} tokens"
    cost = "at an unknown price" if found["cost"]["total_cost"] is None else _cost(found)
    return f"Besides up to {wording.count(found['calls'], 'image')} to be embedded: {tokens}, {cost}"


def _assumed(found: dict[str, Any]) -> Iterator[str]:
    """What nobody can know beforehand, in words."""
    if (steps := found.get("steps")) is not None:
        yield f"{steps:.1f} steps down the categories"
    if (escalated := found.get("escalated")) is not None:
        yield f"{escalated:.0%} are asked of the stronger model too"
    if (share := f"{found.get('repaired') or 0:.0%}") != "0%":
        yield f"{share} of the calls are made again, to mend an answer"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown: no worker is there"
    return "at once" if seconds < 1 else f"about {wording.duration(seconds)}"


def _items(paths: Iterable[str], by: str | None, screen: Screen) -> list[Sized]:
    """What can be estimated; what is bad is told and left out. Raises UsageError and Failure."""
    found = [each for path in paths for each in sized(path, by)]
    for each in found:
        if each.problem:
            screen.note(f"{each.where}: {each.problem.rstrip('.')}.")
    good = [each for each in found if not each.problem]
    if not good:
        raise (Failure("Nothing is left to estimate.") if found else click.UsageError(NOTHING))
    if len(good) < len(found):
        screen.note(f"{wording.count(len(found) - len(good), 'row' if by else 'item')} left out.")
    return good


def _told(refusal: Refused, items: Sequence[Sized], screen: Screen) -> Failure:
    """What is left to say once all that the server refuses is told: the same of several items only once."""
    errors = refusal.details.get("errors", [])
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for error in errors:
        places[error["field"], error["error"]].append(items[error["line"] - 1].where)
    for (name, why), alike in places.items():
        screen.note(f"{_places(alike, len(items))}: {name}: {why}")
    if not errors:
        return refusal
    return Failure(f"{wording.count(refusal.details.get('error_count', len(errors)), 'problem')}.")


def _places(alike: Sequence[str], total: int) -> str:
    """Where something is wrong: the first place of several."""
    if len(alike) == total > 1:
        return f"All {total:,} items"
    return alike[0] if len(alike) == 1 else f"{alike[0]} and {len(alike) - 1:,} more"

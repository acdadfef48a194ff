"""vitrine batch: many images as one batch, followed to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import asking, wording
from cli.batch import acts
from cli.batch.client import BatchClient
from cli.batch.default_group import DefaultGroup
from cli.batch.results import Destination, delivers
from cli.batch.sources import BY, BY_SKU, demand_grouping, is_archive, look_at
from cli.batch.submitting import Submitting
from cli.batch.watching import INTERRUPTED, goes_on, watch
from cli.interrupt import Interrupt
from cli.server import Server, asks_server
from cli.terminal import Screen

SUBMIT = "submit"
METAVAR = "FOLDER|FILE.jsonl|FILE.csv|FILE.zip"


@click.group(cls=DefaultGroup, default=SUBMIT, subcommand_metavar=f"{METAVAR} | COMMAND...")
def batch() -> None:
    """Run a folder, or a list of images, as one batch, and follow it until it is done.

    Each image in a FOLDER, and in those in it, is an item, known by its path. Each line of a JSON Lines or
    CSV file is an item too; its images are paths beside that file, or ids of files that were uploaded before.

    \b
    Examples:
      vitrine batch photos/ --preset product --out catalogue.csv
      vitrine batch photos/ --question "Is it chipped?" --pilot 50
      vitrine batch photos/ --preset product --by folder
      vitrine batch catalogue.jsonl --priority low --window 7d --no-wait
      vitrine batch watch batch_01kaj3c0dpw8w0z3f6s9q2xk7v --out catalogue.csv

    With --by, several images of one product make one item, known by its SKU: those in the same folder
    (A-1/front.jpg), those whose names begin alike (A-1_front.jpg), or the rows with the same sku in a JSON
    Lines or CSV file, each of which may name its view.

    Ctrl-C stops the uploads; after these it leaves the batch running. A folder that is called like a command
    is ./watch.

    The exit status is 0 when all items are completed, 1 when any is not, 2 when the command is wrong, 3 when
    the batch is paused, as it is after a pilot, and 130 after Ctrl-C.
    """  # noqa: D301 - click wants the character


@batch.command(SUBMIT)
@click.argument("path", metavar=METAVAR, type=click.Path(path_type=Path))
@click.option("--preset", metavar="NAME", help="A prompt of the server, such as product.")
@click.option("--question", metavar="TEXT", help="What to ask about every image.")
@click.option("--by", type=click.Choice(BY), help="Make one item of all images of one product.")
@asking.question_options
@asking.reuse_option
@click.option("--temperature", type=click.FloatRange(0, 2), metavar="T", help="How freely it answers.")
@click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", help="Your own, of the batch; repeat for several."
)
@click.option(
    "--priority", type=click.Choice(["high", "normal", "low"]), help="Before or after other batches."
)
@click.option("--window", metavar="24h", help="Time it has, such as 90m, 24h or 7d; then the rest expires.")
@click.option(
    "--pilot", type=click.IntRange(1), metavar="N", help="Run N items, then pause with a projection."
)
@acts.max_cost("Pause before a call that might cost more in all.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that are bad, rather than submit nothing.")
@click.option("--no-wait", is_flag=True, help="Print the id of the batch once it is submitted.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Uploads on their way at once.",
)
@delivers
@asks_server
def submit(
    path: Path,
    *,
    server: Server,
    destination: Destination,
    by: str | None,
    metadata: tuple[str, ...],
    priority: str | None,
    window: str | None,
    pilot: int | None,
    max_cost: float | None,
    skip_bad: bool,
    no_wait: bool,
    parallel: int,
    **said: Any,
) -> int:
    """Submit a batch and follow it: what `vitrine batch` does without a command."""
    if no_wait and destination.path:
        raise click.UsageError("--no-wait does not wait for results: take them with `vitrine batch watch`.")
    order = {
        "defaults": _given(said),
        "metadata": dict(_pair(text) for text in metadata),
        **_given({"priority": priority, "completion_window": window, "pilot": pilot, "max_cost": max_cost}),
    }
    screen, interrupt = Screen(), Interrupt()
    client = BatchClient(server, interrupt, screen.note, parallel)
    submitting = Submitting(client, screen, parallel=parallel, skip_bad=skip_bad)
    with interrupt.listening():
        made = _submitted(submitting, path, order, by)
    batch_id = made["id"]
    if no_wait:
        click.echo(batch_id)
        return 0
    screen.note(f"{batch_id}: {wording.count(made['counts']['total'], 'item')}")
    if interrupt.asked:
        screen.note(goes_on(batch_id, destination))
        return INTERRUPTED
    return watch(client, batch_id, destination, screen)


@batch.command("watch")
@acts.batch_id
@delivers
@asks_server
def watch_again(batch_id: str, *, server: Server, destination: Destination) -> int:
    """Follow a batch again, and take its results when it is done.

    \b
    Example:
      vitrine batch watch batch_01kaj3c0dpw8w0z3f6s9q2xk7v --out catalogue.csv
    """  # noqa: D301 - click wants the character
    screen = Screen()
    return watch(BatchClient(server, Interrupt(), screen.note), batch_id, destination, screen)


def _submitted(submitting: Submitting, path: Path, order: dict[str, Any], by: str | None) -> dict[str, Any]:
    asked = order["defaults"].keys() & {"question", "preset"}
    demand_grouping(by, has_rows=path.is_file() and not is_archive(path))
    if is_archive(path):
        return submitting.archive(path, order | _given({"group_by": by}))
    source = look_at(path, by)
    order |= _given({"group_by": by and BY_SKU})
    if path.is_dir() and not asked:
        raise click.UsageError("Say what to ask about the images: --question, or --preset.")
    return submitting.source(source, order)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _pair(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise click.UsageError(f"--metadata takes KEY=VALUE, not {text}.")
    return key, value


for command in acts.COMMANDS:
    batch.add_command(command)

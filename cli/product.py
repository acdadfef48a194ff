"""vitrine product: a catalogue entry for each of many images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from cli import asking, wording
from cli.client import Analysis, Client
from cli.connection import HOPELESS, Refused
from cli.crew import Crew
from cli.entries import Csv, Entry, JsonLines, Sheet, TableAtTheEnd
from cli.failure import Failure, Interrupted, Unreachable
from cli.images import gather
from cli.interrupt import Interrupt
from cli.local_file import LocalFile
from cli.server import Server, asks_server
from cli.terminal import Screen


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--question", metavar="TEXT", help="Ask this beside the catalogue entry.")
@asking.question_options
@click.option("--json", "form", flag_value="json", help="Print one JSON object per line, in the order given.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, in the order given.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Images on their way at once.",
)
@asks_server
def product(paths: tuple[str, ...], *, server: Server, form: str | None, parallel: int, **said: Any) -> int:
    """Describe product photos: one analysis for each IMAGE, printed as a table.

    A folder stands for the images in it, sorted by name. Failures go to standard error, and do not stop
    the others.

    \b
    Examples:
      vitrine product mug.jpg shoe.png
      vitrine product photos/ --csv > catalogue.csv
      vitrine product photos/ --json | jq -r '[.file, .data.category] | @tsv'

    The exit status is 0 when all were described, 1 when any failed, 2 when the command is wrong, and 130
    after Ctrl-C, which cancels what is on its way and prints what is done.
    """  # noqa: D301 - click wants the character
    images = gather(paths)
    screen, interrupt = Screen(), Interrupt()
    describing = Describing(Client(server, interrupt, screen.note, parallel), said)
    sheet = _sheet(form, images, screen)
    tally = Tally(total=len(images))
    with interrupt.listening():
        bar = screen.bar("Describing", len(images), interrupt, beside_rows=form is not None)
        with bar as advance:
            for entry in describing.entries(images, parallel):
                tally.take(entry, screen)
                sheet.add(entry)
                advance()
        sheet.end()
    return tally.conclude(
        screen, interrupted=interrupt.asked and describing.hopeless is None, why=describing.hopeless
    )


class Describing:
    """Asks about images; after one that shows that the others would fare no better, about no more."""

    def __init__(self, client: Client, said: dict[str, Any]) -> None:
        self._client = client
        self._fields = {"preset": "product", **said}
        self.hopeless: Failure | None = None

    def entries(self, images: list[LocalFile], parallel: int) -> Iterator[Entry]:
        """What came of each image that was asked about, in their order."""
        crew = Crew(self._describe, images, min(parallel, len(images)))
        return (entry for entry in crew if entry is not None)

    def _describe(self, image: LocalFile) -> Entry | None:
        if self._client.interrupt.asked or self.hopeless:
            return None
        try:
            return Entry(image, asking.ask(self._client, [image], self._fields))
        except Interrupted:
            return None
        except Unreachable as problem:
            self.hopeless = problem
        except Refused as refusal:
            if refusal.status not in HOPELESS:
                return Entry(image, _refused(refusal))
            self.hopeless = refusal
        except Failure as problem:
            return Entry(
                image, {"status": "failed", "error": {"code": "unreadable", "message": problem.message}}
            )
        return None


@dataclass(slots=True)
class Tally:
    """How many of what, and what they took together."""

    total: int
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def take(self, entry: Entry, screen: Screen) -> None:
        """Count an entry; say so if it failed."""
        analysis = entry.analysis
        self.tokens += wording.tokens(analysis)
        cost = analysis.get("cost") or {}
        self.cost += cost.get("total_cost") or 0
        if analysis["status"] == "completed":
            self.done += 1
            self.unpriced += cost.get("total_cost") is None
        elif analysis["status"] == "cancelled":
            self.cancelled += 1
        else:
            self.failed += 1
            screen.note(f"{entry.image.path}: {wording.problem_of(analysis)}")

    def conclude(self, screen: Screen, *, interrupted: bool, why: Failure | None) -> int:
        """Say how it ended; the exit status."""
        screen.note(self._sum())
        if why is not None:
            raise why
        if interrupted:
            paid = " Calls on their way may still cost something." if self.cancelled else ""
            screen.note(f"Stopped.{paid}")
            return 130
        return 0 if self.done == self.total else 1

    def _sum(self) -> str:
        cost = wording.amount(self.cost, "USD") if not self.unpriced else "cost unknown"
        parts = [f"{self.done:,} of {wording.count(self.total, 'image')} described"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{self.cancelled:,} cancelled"] if self.cancelled else []
        return ", ".join([*parts, f"{self.tokens:,} tokens", cost])


def _refused(refusal: Refused) -> Analysis:
    """A refusal in the shape of an analysis, so that every image has its line."""
    return {"status": "failed", "error": {"code": refusal.code, "message": refusal.message}}


def _sheet(form: str | None, images: list[LocalFile], screen: Screen) -> Sheet:
    if form == "json":
        return JsonLines()
    return Csv() if form == "csv" else TableAtTheEnd(images, screen)

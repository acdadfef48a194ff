"""A submitted batch from here to its end, as one sees it."""

from __future__ import annotations

from collections.abc import Iterator

from cli import wording
from cli.batch import standing
from cli.batch.client import Batch, BatchClient
from cli.batch.following import Following
from cli.batch.results import Destination, deliver, show
from cli.connection import Refused
from cli.failure import Failure
from cli.terminal import Screen

PAUSED = 3
"""Exit status of a batch that waits to be resumed."""
INTERRUPTED = 130
SAMPLES = 5


def watch(client: BatchClient, batch_id: str, destination: Destination, screen: Screen) -> int:
    """Follow a batch and deliver its results; the exit status. Ctrl-C leaves it running.

    No handler listens meanwhile: nothing here needs an orderly end, and reading from a stream would outlast
    the flag that it sets.
    """
    try:
        batch = _followed(client, batch_id, screen)
        if standing.is_paused(batch):
            return _paused(client, batch, destination, screen)
        deliver(client, batch, destination, screen)
        return _concluded(client, batch, screen)
    except KeyboardInterrupt:
        screen.note(goes_on(batch_id, destination))
        return INTERRUPTED
    except Refused:
        raise  # it would be refused again
    except Failure as problem:
        problem.show()
        screen.note(f"  Follow  vitrine batch watch {batch_id}{destination.option}")
        return problem.exit_code


def goes_on(batch_id: str, destination: Destination) -> str:
    """What to do about a batch that is left to itself."""
    return (
        "The batch goes on.\n"
        f"  Follow  vitrine batch watch {batch_id}{destination.option}\n"
        f"  Cancel  vitrine batch cancel {batch_id}"
    )


def _followed(client: BatchClient, batch_id: str, screen: Screen) -> Batch:
    """The batch once it is final or paused; its progress is shown until then."""
    standings = Following(client, batch_id).standings()
    first = next(standings)
    done, total = standing.done_of(first), first["counts"]["total"]
    with screen.progress(
        *standing.columns(), total=total, completed=done, batch=first, before=done
    ) as update:
        for batch in standings:
            update(completed=standing.done_of(batch), total=batch["counts"]["total"], batch=batch)
    return client.one(batch_id)


def _paused(client: BatchClient, batch: Batch, destination: Destination, screen: Screen) -> int:
    if batch["projection"]:
        if destination.path or not destination.form:
            show(client.items(batch["id"], limit=SAMPLES), screen)
        screen.note(standing.projected(batch))
    screen.note(
        f"The batch is paused: {wording.one_line(batch['reason']).rstrip('.')}.\n"
        f"  Go on   vitrine batch resume {batch['id']}\n"
        f"  Follow  vitrine batch watch {batch['id']}{destination.option}\n"
        f"  Cancel  vitrine batch cancel {batch['id']}"
    )
    return PAUSED


def _concluded(client: BatchClient, batch: Batch, screen: Screen) -> int:
    failed = batch["counts"]["failed"]
    for sentence in _failures(client, batch) if failed else ():
        screen.note(sentence)
    if batch["status"] == "failed":  # as a whole, for its input; that it has no items is nothing to tell then
        screen.note(f"The batch failed: {wording.one_line(batch['reason'])} ({batch['id']}).")
        return 1
    screen.note(f"{standing.summed(batch)} ({batch['id']})")
    return 0 if batch["counts"]["completed"] == batch["counts"]["total"] else 1


def _failures(client: BatchClient, batch: Batch) -> Iterator[str]:
    shown = client.items(batch["id"], status="failed", limit=SAMPLES)
    for item in shown:
        yield f"{item['custom_id']}: {wording.problem_of(item)}"
    if (left := batch["counts"]["failed"] - len(shown)) > 0:
        yield f"and {left:,} more that failed."

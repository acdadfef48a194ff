"""What workers do so that images that look alike are found: keep what was measured, see what was not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.desk import Desk
from core.errors import VitrineError
from core.likeness import Features
from core.queue import BULK, INTERACTIVE, Task
from core.store import features, frames
from core.store.features import Unmeasurable

MEASURED = "measured"
"""The event that those who wait for a digest are told."""


def keep(desk: Desk, measured: Mapping[str, Features]) -> None:
    """Keep the features of images by their digests; harmless where they are known."""
    if measured:
        with desk.database.statement() as connection:
            features.keep(connection, measured)


def keep_one(desk: Desk, digest: str, measured: Features) -> None:
    """Keep what somebody waits for, and tell them."""
    with desk.database.transaction() as session:
        features.keep(session.connection(), {digest: measured})
        desk.events.tell_after_commit(session, digest, MEASURED)


def keep_problem(desk: Desk, digest: str, error: VitrineError) -> None:
    """Note why an image has no features, so that nobody waits for them, and tell who does."""
    with desk.database.transaction() as session:
        features.keep_problem(session, digest, Unmeasurable(error.code, error.message))
        desk.events.tell_after_commit(session, digest, MEASURED)


def is_known(desk: Desk, digest: str) -> bool:
    """Whether these bytes were measured, or found not to be measurable."""
    with desk.database.statement() as connection:
        return features.of(connection, digest) is not None


def ring(desk: Desk, digests: Iterable[str], *, waiting: bool) -> None:
    """Have images measured; a bell that is lost is rung again by whoever still wants to know."""
    desk.doorbell.ring(Task.MEASURE, digests, INTERACTIVE if waiting else BULK)


def complete(desk: Desk) -> None:
    """Make what a worker of an older release left out while the database was newer than itself."""
    with desk.database.transaction() as session:
        frames.complete(session)


def unmeasured(desk: Desk, behind: str = "", limit: int = 1_000) -> list[str]:
    """Digests of stored images that are still to be measured, in their order."""
    with desk.database.transaction() as session:
        return features.unmeasured(session, behind=behind, limit=limit)


def left_of(desk: Desk, digests: Sequence[str]) -> list[str]:
    """Those of these digests that are still to be measured and still stored."""
    with desk.database.transaction() as session:
        return features.left_of(session, digests)


def count_unmeasurable(desk: Desk, digests: Sequence[str]) -> int:
    """How many of these digests were looked at and could not be measured."""
    with desk.database.transaction() as session:
        return features.count_unmeasurable(session, digests)


def count_unmeasured(desk: Desk) -> int:
    """How many there are."""
    with desk.database.transaction() as session:
        return features.count_unmeasured(session)

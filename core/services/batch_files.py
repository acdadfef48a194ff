"""The output of a batch of lines: two files that nobody stores, for the items are there to be read.

Their ids are made from the batch's, and they can be read while it runs. See docs/decisions/0014.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from core.desk import Desk
from core.errors import Conflict, NotFound
from core.models import Batch
from core.states import AnalysisState
from core.store import batch_items, batches

Outcome = batch_items.Outcome
PAGE = 200
"""Items that are read at once: each page is a transaction of its own."""


class Part(StrEnum):
    """Which of the two; the prefix of its id."""

    OUTPUT = "output"
    ERRORS = "errors"


STATES = {
    Part.OUTPUT: frozenset({AnalysisState.COMPLETED}),
    Part.ERRORS: frozenset({AnalysisState.FAILED, AnalysisState.EXPIRED, AnalysisState.CANCELLED}),
}


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One of the two files of a batch."""

    batch: Batch
    part: Part

    @property
    def id(self) -> str:
        """Its id as clients know it."""
        return id_of(self.batch, self.part)

    @property
    def name(self) -> str:
        """What it is saved as."""
        return f"{self.batch.id}_{self.part}.jsonl"

    @property
    def created_at(self) -> datetime:
        """When it was complete; for one that still grows, when its batch was made."""
        return self.batch.finished_at or self.batch.created_at

    @property
    def expires_at(self) -> datetime | None:
        """Until when it can be read; None for as long as its batch exists."""
        lifetime, finished_at = self.batch.output_lifetime, self.batch.finished_at
        return None if lifetime is None or finished_at is None else finished_at + lifetime

    @property
    def is_expired(self) -> bool:
        """Whether its time is up."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


def id_of(batch: Batch, part: Part) -> str:
    """The id of one of the files of a batch."""
    return f"{part}_{batch.id.removeprefix('batch_')}"


def get(desk: Desk, account_id: str, file_id: str) -> BatchFile:
    """The file of this id. Raises NotFound, also where nothing is in it, or its time is up."""
    part, _, rest = file_id.partition("_")
    with desk.database.transaction() as session:
        found = BatchFile(batches.owned(session, account_id, f"batch_{rest}"), Part(part))
        if found.is_expired or not batch_items.outcomes(
            session, found.batch.id, STATES[found.part], after=-1, limit=1
        ):
            raise NotFound(f"There is no file {file_id!r}.")
    return found


def rows(desk: Desk, file: BatchFile) -> Iterator[Outcome]:
    """What stands in it, in input order: flat in memory, no transaction while a client reads."""
    after, more = -1, True
    while more:
        with desk.database.transaction() as session:
            page = batch_items.outcomes(session, file.batch.id, STATES[file.part], after=after, limit=PAGE)
        yield from page
        after, more = page[-1].position if page else after, len(page) == PAGE


def refuse_to_delete(file: BatchFile) -> None:
    """Raises Conflict: it goes with its batch."""
    raise Conflict(f"This file goes with its batch: delete {file.batch.id} by the native API.")

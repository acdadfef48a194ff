"""Whether the files that items name are the account's: asked for many items at once."""

from __future__ import annotations

from core.desk import Desk
from core.services.problems import Problems
from core.store import files

AT_ONCE = 2_000
"""Mentions of files that are looked up by one query."""


class KnownFiles:
    """Looks the files of one submission up while its items are read; each but once.

    Nothing is locked, for items are read for longer than a transaction may last: what is deleted meanwhile
    is noticed when the batch is stored.
    """

    def __init__(self, desk: Desk, account_id: str, problems: Problems) -> None:
        self._desk = desk
        self._account_id = account_id
        self._problems = problems
        self._known: dict[str, str | None] = {}
        self._waiting: list[tuple[int, str, str]] = []

    def demand(self, line: int, custom_id: str, file_id: str) -> None:
        """Note that an item needs a file; a problem of that item, now or by `settle`, where there is none."""
        self._waiting.append((line, custom_id, file_id))
        if len(self._waiting) >= AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Judge what was demanded so far."""
        self._look_up({file_id for _, _, file_id in self._waiting} - self._known.keys())
        for line, custom_id, file_id in self._waiting:
            if self._known[file_id] is None:
                self._problems.add_missing(line, custom_id, file_id)
        self._waiting.clear()

    def digest(self, file_id: str) -> str | None:
        """SHA-256 of a file that was demanded and judged; None where there is none."""
        return self._known[file_id]

    def _look_up(self, file_ids: set[str]) -> None:
        if not file_ids:
            return
        with self._desk.database.transaction() as session:
            known = files.known(session, self._account_id, sorted(file_ids))
        self._known |= {file_id: known.get(file_id) for file_id in file_ids}

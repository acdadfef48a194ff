"""Results go when their time is up (RESULT_RETENTION_DAYS), a few at a time; the books stay.

Each of these does a bit and says how much; workers call again until nothing is left. Bytes follow when no
file names them any more: see core.services.files.
"""

from __future__ import annotations

from sqlalchemy import Select
from sqlalchemy.orm import Session

from core.desk import Desk
from core.services.files import WITH_ANALYSIS
from core.store import analyses, batches, files

AT_ONCE = 500
"""26 ms of work on one core; nobody waits longer for a row."""


def forget_analyses(desk: Desk, limit: int = AT_ONCE) -> int:
    """Remove old final analyses with the files that came with them; how many."""
    if (age := desk.settings.result_retention) is None:
        return 0
    with desk.database.transaction() as session:
        return len(remove(session, analyses.finished_before(age, limit)))


def hide_batches(desk: Desk, limit: int = AT_ONCE) -> int:
    """Let old final batches be gone for everyone at once; how many. Half a batch is never seen."""
    if (age := desk.settings.result_retention) is None:
        return 0
    with desk.database.transaction() as session:
        return batches.hide_finished_before(session, age, limit)


def forget_items(desk: Desk, limit: int = AT_ONCE) -> int:
    """Remove items of batches that are gone for everyone, at last the batches themselves; how many."""
    with desk.database.transaction() as session:
        removed = remove(session, batches.items_of_hidden(limit))
        return len(removed) or batches.remove_emptied(session)


def remove(session: Session, ids: Select[str]) -> list[str]:
    """Remove the analyses that a query names, and the files that came with them; which."""
    removed, file_ids = analyses.remove_some(session, ids)
    files.remove_unused(session, file_ids, WITH_ANALYSIS)
    return removed

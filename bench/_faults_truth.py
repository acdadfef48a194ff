"""What is counted after a fault, from where the truth is: the rows, the books, and the endpoint's ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import requests

from bench._system import System

ITEMS = """
    SELECT count(*) AS items,
        count(*) FILTER (WHERE state = 'completed') AS completed,
        count(*) FILTER (WHERE state IN ('queued', 'running')) AS open,
        count(*) FILTER (WHERE error_code = 'worker_crash') AS crashed,
        count(*) FILTER (WHERE answer IS NULL AND state = 'completed') AS empty,
        coalesce(sum(lease_expiries), 0)::int AS expiries
    FROM analyses WHERE account_id = %s
"""
BOOKS = """
    SELECT coalesce(sum(calls), 0)::int AS booked, coalesce(sum(open), 0)::int AS unclosed,
        count(*) FILTER (WHERE settled > 1) AS double
    FROM (
        SELECT count(*) AS calls, count(*) FILTER (WHERE state = 'settled') AS settled,
            count(*) FILTER (WHERE state = 'reserved') AS open
        FROM calls WHERE account_id = %s GROUP BY analysis_id
    ) AS of_each
"""


@dataclass(frozen=True, slots=True)
class Truth:
    """One account's analyses and calls, and the calls that reached the endpoint."""

    items: int
    completed: int
    open: int
    crashed: int
    """Failed as `worker_crash`."""
    empty: int
    """Completed, but without an answer."""
    expiries: int
    """Leases that ran out."""
    booked: int
    unclosed: int
    """Calls in the books that nobody has closed."""
    double: int
    """Analyses with more than one paid answer."""
    received: int
    """Calls in the endpoint's ledger."""

    @property
    def lost(self) -> int:
        """Analyses that did not come to an answer, without having killed their workers."""
        return self.items - self.completed - self.crashed + self.empty

    @property
    def extra(self) -> int:
        """Calls beyond one for each analysis."""
        return self.received - self.items


@dataclass(slots=True)
class Outcome:
    """How a scenario ended: its figures, and every promise that was not kept."""

    scenario: str
    truth: Truth
    most_extra: int
    recovery: float | None = None
    """Seconds; the longest of several."""
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def promise(self, kept: bool, words: str) -> None:
        """Note a promise, where it was not kept."""
        if not kept:
            self.broken.append(words)


def judged(scenario: str, truth: Truth, *, most_extra: int, may_fail: bool = False) -> Outcome:
    """What every scenario promises: nothing lost, nothing twice, every call on the books."""
    outcome = Outcome(scenario, truth, most_extra)
    outcome.promise(truth.open == 0, f"{truth.open} items are not final")
    outcome.promise(may_fail or truth.lost == 0, f"{truth.lost} items are lost")
    outcome.promise(truth.double == 0, f"{truth.double} items have two paid results")
    missing = truth.received - truth.booked
    outcome.promise(missing <= 0, f"{missing} calls are not on the books")
    outcome.promise(truth.unclosed == 0, f"{truth.unclosed} calls are still open in the books")
    outcome.promise(truth.extra <= most_extra, f"{truth.extra} extra calls, not {most_extra} at most")
    return outcome


def count(vitrine: System, account_id: str) -> Truth:
    """The truth about an account that is the only one at work."""
    with vitrine.database() as connection:
        found: dict[str, Any] = {}
        for query in (ITEMS, BOOKS):
            cursor = connection.execute(query.encode(), [account_id])
            names = [column.name for column in cursor.description or ()]
            found |= dict(zip(names, cursor.fetchone() or (), strict=True))
    return Truth(**found, received=received(vitrine))


def received(vitrine: System) -> int:
    """Calls that the endpoint has seen since its ledger was cleared."""
    page = requests.get(f"{vitrine.analyst}/control/ledger", params={"limit": 1}, timeout=10).json()
    return int(page["count"])

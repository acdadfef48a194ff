"""What is wrong with the items of one submission: every problem is told, not the first one only."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from core.errors import InvalidRequest

MOST_PROBLEMS = 1_000
"""Told in full; beyond that, only how many there are."""


@dataclass(slots=True)
class Problems:
    """What is wrong with the items of one submission."""

    found: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, custom_id: str | None, name: str, why: str) -> None:
        """Note a problem of the item on a line (from 1)."""
        self.count += 1
        if len(self.found) < MOST_PROBLEMS:
            self.found.append({"line": line, "custom_id": custom_id, "field": name, "error": why})

    def raise_any(self) -> None:
        """Raises InvalidRequest that tells every problem."""
        if not self.count:
            return
        self.found.sort(key=itemgetter("line"))  # those about files come late
        first = self.found[0]
        raise InvalidRequest(
            f"{self.count} problem{'s' if self.count > 1 else ''} in the items, nothing was stored;"
            f" the first: line {first['line']}, {first['field']}: {first['error']}",
            details={"errors": self.found, "error_count": self.count},
        )

"""What is wrong with the items of one submission: every problem is told, not the first one only.

Of a submission that is a single analysis, the first problem is its refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from core.errors import InvalidRequest, NotFound

MOST_PROBLEMS = 1_000
"""Told in full; beyond that, only how many there are."""


@dataclass(slots=True)
class Problems:
    """What is wrong with the items of one submission."""

    then: str = ", nothing was stored"
    """What came of it, as a sentence goes on."""
    found: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, custom_id: str | None, name: str, why: str) -> None:
        """Note a problem of the item on a line (from 1)."""
        self.count += 1
        if len(self.found) < MOST_PROBLEMS:
            self.found.append({"line": line, "custom_id": custom_id, "field": name, "error": why})

    def add_missing(self, line: int, custom_id: str | None, file_id: str) -> None:
        """Note that the account has no such file."""
        self.add(line, custom_id, "images", f"There is no file {file_id!r}.")

    def raise_any(self) -> None:
        """Raises InvalidRequest that tells every problem."""
        if not self.count:
            return
        self.found.sort(key=itemgetter("line"))  # those about files come late
        first = self.found[0]
        raise InvalidRequest(
            f"{self.count} problem{'s' if self.count > 1 else ''} in the items{self.then};"
            f" the first: line {first['line']}, {first['field']}: {first['error']}",
            details={"errors": self.found, "error_count": self.count},
        )


class Refusal(Problems):
    """The first that is wrong with the one item of a submission, raised at once."""

    def add(self, line: int, custom_id: str | None, name: str, why: str) -> None:  # noqa: ARG002 - as Problems has it
        """Raises InvalidRequest."""
        raise InvalidRequest(f"{name}: {why}", details={"field": name})

    def add_missing(self, line: int, custom_id: str | None, file_id: str) -> None:  # noqa: ARG002 - as Problems has it
        """Raises NotFound."""
        raise NotFound(f"There is no file {file_id!r}.", details={"field": "images", "missing": [file_id]})

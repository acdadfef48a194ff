"""How a batch stands, in words and as a moving line."""

from __future__ import annotations

from rich.progress import BarColumn, ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from cli import wording
from cli.batch.client import Batch
from core.states import AnalysisState

ACTIVE = frozenset({"pending", "validating", "running", "cancelling"})
UNHAPPY = (AnalysisState.FAILED, AnalysisState.CANCELLED, AnalysisState.EXPIRED)
BAR_WIDTH = 20
INDENT = 12


def is_at_rest(batch: Batch) -> bool:
    """Whether nothing more comes of it unless somebody acts: it is final, or paused."""
    return batch["status"] not in ACTIVE


def is_paused(batch: Batch) -> bool:
    """Whether it waits to be resumed."""
    return bool(batch["status"] == "paused")


def done_of(batch: Batch) -> int:
    """How many of its items are final."""
    return int(batch["counts"]["total"] - batch["counts"]["pending"])


def unhappy(batch: Batch) -> list[str]:
    """How many items have no answer, and why: `2 failed`."""
    counts = batch["counts"]
    return [f"{counts[state]:,} {state}" for state in UNHAPPY if counts[state]]


def summed(batch: Batch) -> str:
    """What came of it, in one line."""
    counts = batch["counts"]
    cost = _cost(batch)
    parts = [
        f"{counts['completed']:,} of {wording.count(counts['total'], 'item')} completed",
        *unhappy(batch),
        *_cached(batch),
    ]
    parts += [f"{wording.tokens(batch):,} tokens", "cost unknown" if cost == "unknown" else cost]
    return ", ".join(parts)


def _cost(batch: Batch) -> str:
    cost = batch.get("cost") or {}
    return wording.amount(cost.get("total_cost"), cost.get("currency") or "USD")


def _cached(batch: Batch) -> list[str]:
    """How many answers were there already."""
    cached = batch.get("cached")  # servers before this one do not say
    return [f"{cached:,} cached"] if cached else []


def projected(batch: Batch) -> str:
    """What a pilot makes of the whole."""
    projection = batch["projection"]
    cost = wording.amount(projection["total_cost"], batch["cost"]["currency"])
    seconds = projection["seconds"]
    time = "unknown" if seconds is None else f"about {wording.duration(seconds)}"
    return (
        f"Of {wording.count(projection['items'], 'item')}, {projection['error_rate']:.1%} failed. "
        f"All {batch['counts']['total']:,}: cost {cost if cost in {'free', 'unknown'} else f'about {cost}'}, "
        f"time {time}."
    )


def described(batch: Batch) -> str:
    """The whole batch for a person."""
    rows = {
        "Batch": batch["id"],
        "Status": batch["status"] + (f": {wording.one_line(batch['reason'])}" if batch["reason"] else ""),
        "Items": summed(batch),
        "Max cost": wording.amount(batch["max_cost"], "USD") if batch.get("max_cost") else None,
        "Projection": projected(batch) if batch["projection"] else None,
        "Priority": batch["priority"],
        "Metadata": wording.as_json(batch["metadata"]) if batch["metadata"] else None,
        "Created": _moment(batch["created_at"]),
        "Started": _moment(batch.get("started_at")),
        "Expected": _moment(batch["expected_at"]),
        "Completed": _moment(batch["completed_at"]),
        "Deadline": _moment(batch["deadline_at"]),
        "Request": batch["request_id"],
    }  # fmt: skip
    return "\n".join(f"{name:<{INDENT}}{text}" for name, text in rows.items() if text)


def listed(batches: list[Batch]) -> Table:
    """A table of batches, at home in 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Batch", no_wrap=True, min_width=32)
    table.add_column("Status", no_wrap=True)
    for name in ("Age", "Done", "Failed", "Cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for batch in batches:
        counts = batch["counts"]
        cells = (
            batch["id"],
            batch["status"],
            wording.age(batch["created_at"]),
            f"{counts['completed']}/{counts['total']}",
            str(counts["failed"]),
            _cost(batch),
        )
        table.add_row(*map(Text, cells))
    return table


def columns() -> tuple[ProgressColumn, ...]:
    """The moving line: what is done, what went wrong, how fast, how long still, and what it cost so far."""
    return _Status(), BarColumn(bar_width=BAR_WIDTH), _Figures()


class _Status(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The state."""
        return Text(task.fields["batch"]["status"].capitalize())


class _Figures(ProgressColumn):
    def render(self, task: Task) -> Text:
        """All figures that are known."""
        batch = task.fields["batch"]
        parts = [f"{done_of(batch):,}/{batch['counts']['total']:,}", *unhappy(batch)]
        # The mean since one looks: rich's own speed takes what the first event tells for done in an instant.
        speed = (done_of(batch) - task.fields["before"]) / (task.elapsed or 1)
        if speed:
            parts += [f"{speed:.1f}/s", f"{wording.duration(batch['counts']['pending'] / speed)} left"]
        cost = _cost(batch)
        return Text(
            "  ".join(parts if cost == "unknown" else [*parts, cost]), no_wrap=True, overflow="ellipsis"
        )


def _moment(time: str | None) -> str | None:
    return f"{time[:19].replace('T', ' ')} UTC" if time else None

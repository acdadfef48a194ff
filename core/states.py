"""The states of things and the one table of moves between them.

Guards in core/store and CHECK constraints in core/models are made from here; nothing else says which
move is allowed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


class AnalysisState(StrEnum):
    """Where an analysis stands."""

    QUEUED = "queued"
    """Waits for a worker, or for the answer of another that asks the same.

    Leaves by a claim, a cancel, its deadline, or an answer that was paid for: its own, late, or another's.
    """
    RUNNING = "running"
    """One worker holds its lease: leaves by that worker's outcome, a cancel, or the sweep of a dead lease."""
    COMPLETED = "completed"
    """Final: the answer is there."""
    FAILED = "failed"
    """Final: the error says why."""
    CANCELLED = "cancelled"
    """Final: whoever submitted it took it back."""
    EXPIRED = "expired"
    """Final: its deadline passed first."""


class BatchState(StrEnum):
    """Where a batch stands."""

    RUNNING = "running"
    """Its items are dispatched."""
    PAUSED = "paused"
    """Nothing new is asked until it is resumed: by a client, or after its pilot."""
    CANCELLING = "cancelling"
    """Nothing new is asked; what was asked is still coming in."""
    COMPLETED = "completed"
    """Final: every item is."""
    FAILED = "failed"
    """Final from the start: its input could not be used, and there are no items."""
    CANCELLED = "cancelled"
    """Final: what was not done is cancelled."""
    EXPIRED = "expired"
    """Final: its completion window passed before all was done."""


class CallState(StrEnum):
    """Where one paid request to the endpoint stands in the books."""

    RESERVED = "reserved"
    """On its way: the worst case is set aside."""
    SETTLED = "settled"
    """Answered: the cost is known from the usage that came back."""
    REFUSED = "refused"
    """Turned away by the endpoint, or never sent: costs nothing."""
    UNKNOWN = "unknown"
    """No answer that tells the cost: the books keep the worst case."""


class DeliveryState(StrEnum):
    """Where an event stands on its way to one receiver."""

    PENDING = "pending"
    """Is sent, or waits to be: leaves by an attempt's outcome, or as its webhook is disabled."""
    DELIVERED = "delivered"
    """Final: the receiver answered 2xx."""
    FAILED = "failed"
    """Final: no try is left, or its webhook was disabled."""


ANALYSIS_MOVES: dict[AnalysisState, frozenset[AnalysisState]] = {
    AnalysisState.QUEUED: frozenset(
        {AnalysisState.RUNNING, AnalysisState.COMPLETED, AnalysisState.CANCELLED, AnalysisState.EXPIRED}
    ),
    AnalysisState.RUNNING: frozenset(
        {
            AnalysisState.QUEUED,
            AnalysisState.COMPLETED,
            AnalysisState.FAILED,
            AnalysisState.CANCELLED,
            AnalysisState.EXPIRED,
        }
    ),
    AnalysisState.COMPLETED: frozenset(),
    AnalysisState.FAILED: frozenset(),
    AnalysisState.CANCELLED: frozenset(),
    AnalysisState.EXPIRED: frozenset(),
}

BATCH_MOVES: dict[BatchState, frozenset[BatchState]] = {
    BatchState.RUNNING: frozenset(
        {BatchState.PAUSED, BatchState.CANCELLING, BatchState.COMPLETED, BatchState.EXPIRED}
    ),
    # What was asked before a pause may have been the last of it.
    BatchState.PAUSED: frozenset(
        {BatchState.RUNNING, BatchState.CANCELLING, BatchState.COMPLETED, BatchState.EXPIRED}
    ),
    BatchState.CANCELLING: frozenset({BatchState.CANCELLED}),
    # Retrying what failed opens a batch again.
    BatchState.COMPLETED: frozenset({BatchState.RUNNING}),
    BatchState.FAILED: frozenset(),
    BatchState.CANCELLED: frozenset({BatchState.RUNNING}),
    BatchState.EXPIRED: frozenset({BatchState.RUNNING}),
}

CALL_MOVES: dict[CallState, frozenset[CallState]] = {
    CallState.RESERVED: frozenset({CallState.SETTLED, CallState.REFUSED, CallState.UNKNOWN}),
    # A worker thought dead may still bring the answer: then the true cost takes the place of the worst.
    CallState.UNKNOWN: frozenset({CallState.SETTLED, CallState.REFUSED}),
    CallState.SETTLED: frozenset(),
    CallState.REFUSED: frozenset(),
}

DELIVERY_MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED}),
    # Sent anew when a client asks for it; an attempt whose lease ran out may have arrived all the same.
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING}),
    DeliveryState.FAILED: frozenset({DeliveryState.PENDING}),
}

REOPENABLE = frozenset({AnalysisState.FAILED, AnalysisState.CANCELLED, AnalysisState.EXPIRED})
"""Items of a batch in these states wait again when a client asks for it; no worker may do that."""

FINAL = frozenset(state for state, moves in ANALYSIS_MOVES.items() if not moves)


def sources(moves: dict[State, frozenset[State]], to: State) -> list[State]:
    """The states from which `to` may be reached."""
    return [state for state, targets in moves.items() if to in targets]

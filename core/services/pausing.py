"""What stops a whole batch, because every other item would meet the same."""

from __future__ import annotations

from core.desk import Desk
from core.errors import VitrineError
from core.models import Batch
from core.services import outcomes
from core.services.outcomes import Claim, Closing
from core.states import BatchState
from core.store import batches, dispatch


def pause_for(desk: Desk, claimed: Claim, error: VitrineError, closing: Closing | None) -> None:
    """Pause the item's batch with the error as its reason, and put the item back; no try is used up.

    The batch first: an item that waits in a batch that still runs would be rung for at once.
    """
    with desk.database.transaction() as session:
        for batch in batches.move(
            session, BatchState.PAUSED, Batch.id == claimed.batch_id, reason=error.message
        ):
            dispatch.silence(session, batch.id)
            desk.events.tell_after_commit(session, batch.id, BatchState.PAUSED)
    outcomes.retry(desk, claimed, error, closing, seconds=0, counts=False)

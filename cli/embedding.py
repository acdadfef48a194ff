"""Embeddings that are missing, ordered and waited for: the paid half of `vitrine index rebuild`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cli import wording
from cli.failure import Failure
from cli.interrupt import Interrupt
from cli.terminal import Screen
from core.desk import Desk
from core.services import image_embeddings

AT_ONCE = 200
"""Images that are ordered before the first of them is done."""
PATIENCE_SECONDS = 120.0
"""Without any that ends: longer than a call to the endpoint may take."""
LOOK_SECONDS = 0.2


def embed_missing(opened: Desk, screen: Screen, interrupt: Interrupt) -> None:
    """Have every measured image embedded that lacks it, and say how many, and what is paid."""
    total, model = image_embeddings.count_missing(opened), opened.settings.similar_embedding_model
    if not total:
        screen.note(f"Every image has its embedding by {model}.")
        return
    lack = "lacks an embedding" if total == 1 else "lack an embedding"
    screen.note(f"{wording.count(total, 'image')} {lack} by {model}: each is a paid call, made now.")
    with screen.bar("Embedding", total, interrupt, beside_rows=False) as advance:
        looked_at, kept = _embed_all(opened, interrupt, advance)
    screen.note(f"{wording.count(kept, 'image')} embedded.")
    if interrupt.asked:
        screen.note("Stopped; what was ordered is finished by the workers. Run it again to go on.")
    elif looked_at > kept:
        screen.note(
            f"{wording.count(looked_at - kept, 'image')} could not be embedded. Analyses with the preset "
            f"{image_embeddings.PRESET} say why; where there is none, no key of the account may write, or "
            "its budget is used up."
        )


def _embed_all(opened: Desk, interrupt: Interrupt, advance: Callable[[], None]) -> tuple[int, int]:
    """Order a few at a time, in the order of accounts and digests; how many, and how many came."""
    looked_at, kept, behind = 0, 0, ("", "")
    while not interrupt.asked and (images := image_embeddings.missing(opened, behind, AT_ONCE)):
        ordered = image_embeddings.order_missing(opened, images)
        _wait(opened, ordered, interrupt, advance)
        looked_at += len(images)
        kept += image_embeddings.count_kept(opened, ordered)
        behind = images[-1].account_id, images[-1].digest
    return looked_at, kept


def _wait(opened: Desk, ordered: Sequence[str], interrupt: Interrupt, advance: Callable[[], None]) -> None:
    """Wait until these analyses have ended. Raises Failure where nothing moves any more."""
    left, moved_at = len(ordered), time.monotonic()
    while left and not interrupt.asked:
        interrupt.sleep(LOOK_SECONDS)
        still = image_embeddings.count_left(opened, ordered)
        for _ in range(left - still):
            advance()
        moved_at = time.monotonic() if still < left else moved_at
        left = still
        if time.monotonic() - moved_at > PATIENCE_SECONDS:
            raise Failure(
                "No embedding has come for a while: is a worker running, and does the endpoint answer? "
                "Run it again to go on."
            )

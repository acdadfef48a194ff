"""Answers that were given about a picture that shows the same: given again only to who asks for that.

The question must be the very same but for the picture, so that the fingerprint of the earlier one can be
told from its picture's digest; and the pictures must be nearer than near-duplicates are.
"""

from __future__ import annotations

from contextlib import suppress

from core.desk import Desk
from core.likeness import FRAME, NEAR_FRAME, SAME_BITS, SAME_STRANGENESS, Features
from core.services import presets, reuse
from core.services.reuse import Fingerprints
from core.store import analyses, frames
from core.store import reuse as answers
from core.store.claims import Claim

NEAR = "near"
"""What a client says who wants this."""
MOST = 50
"""Pictures whose answers are looked for."""


class _GoneError(Exception):
    """The answer or the claim is gone: undoes what was prepared for it."""


def give(desk: Desk, claimed: Claim, looks: Features) -> bool:
    """Complete a claimed analysis of one picture with the answer about the nearest; False without one."""
    distances = _fingerprints(desk, claimed, looks)
    if not distances:
        return False
    with desk.database.transaction() as session:
        found = answers.answered_among(session, claimed.id, list(distances))
    nearest = min(found, key=lambda each: distances[each], default=None)
    return nearest is not None and _take(desk, claimed, nearest, distances[nearest])


def _fingerprints(desk: Desk, claimed: Claim, looks: Features) -> dict[bytes, int]:
    """The same question about each picture that shows the same, with the distance of that in bits."""
    preset = presets.stored(desk, claimed.preset, claimed.preset_version, claimed.preset_id)
    prints = Fingerprints(desk, claimed.account_id)
    found = {
        prints.of(claimed, preset, [digest]): distance for digest, distance in _near(desk, claimed, looks)
    }
    return {fingerprint: distance for fingerprint, distance in found.items() if fingerprint}


def _near(desk: Desk, claimed: Claim, looks: Features) -> list[tuple[str, int]]:
    with desk.database.transaction() as session:
        near = frames.near(
            session,
            claimed.account_id,
            looks,
            bits_apart=SAME_BITS,
            frame_apart=FRAME.stored(NEAR_FRAME),
            limit=MOST,
        )
    return [
        (each.digest, each.distance)
        for each in near
        if each.digest not in claimed.digests and looks.shows_same(each.layout, SAME_STRANGENESS)
    ]


def _take(desk: Desk, claimed: Claim, fingerprint: bytes, distance: int) -> bool:
    """In one transaction, so that a question never keeps the fingerprint of another."""
    with suppress(_GoneError), desk.database.transaction() as session:
        analyses.lock(session, claimed.id)
        answers.ask_as(session, claimed.id, claimed.fence, fingerprint, distance)
        if not reuse.take(desk, session, claimed):
            raise _GoneError
        return True
    return False

"""Images of an account that look like another: near-duplicates, and similar products."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.desk import Desk
from core.errors import InvalidRequest, NotFound, Unavailable, from_code
from core.likeness import FRAME, NEAR_BITS, NEAR_FRAME, Features
from core.models import Analysis, File
from core.services import indexing, ranking
from core.services.files import Upload, check_images, keep_bytes
from core.services.ranking import Ranked
from core.store import catalogue, features, files, frames
from core.store.embeddings import Vector
from core.store.features import Unmeasurable

MOST_CANDIDATES = 500
"""Images with near hashes and colours that are looked at more closely: 0.02 ms each, what is near 0.3 ms."""
LOOK_SECONDS = 1.0
"""How long a waiter relies on events before it looks into the database itself."""
RETRY_AFTER = 5.0

IsOver = Callable[[], bool]
Embed = Callable[[str], Vector | None]
"""Gives the endpoint's embedding of the bytes of a digest, where there is one."""


@dataclass(frozen=True, slots=True)
class Similar:
    """An image that looks like another, and what is shown of it."""

    file: File
    analysis: Analysis | None
    """The newest that looked at it."""
    ranked_by: str
    score: float
    reasons: list[str]


def duplicates(
    desk: Desk,
    account_id: str,
    file_id: str,
    *,
    threshold: int = NEAR_BITS,
    behind: str | None,
    limit: int,
    is_over: IsOver = lambda: False,
) -> tuple[list[tuple[File, int]], bool]:
    """The account's files that show the same as one of them, with distances in bits: a page; is there more.

    The nearest first; copies have the distance 0. Raises NotFound, InvalidRequest for a file that is no image
    or cannot be measured, Unavailable where nobody measured it in time.
    """
    file = _image(desk, account_id, file_id)
    found = features_of(desk, file.digest, is_over)
    with desk.database.transaction() as session:
        near = frames.near(
            session,
            account_id,
            found,
            bits_apart=threshold,
            frame_apart=FRAME.stored(NEAR_FRAME),
            limit=MOST_CANDIDATES,
        )
        distances = {each.digest: each.distance for each in near if found.shows_same(each.layout)}
        distances |= {file.digest: 0}
        place = None if behind is None else _place(session, account_id, behind, distances)
        rows = catalogue.files_of(
            session, account_id, distances, behind=place, limit=limit + 1, leaving_out=file_id
        )
    return rows[:limit], len(rows) > limit


def similar(
    desk: Desk,
    account_id: str,
    image: Upload | str,
    *,
    limit: int,
    metadata: Mapping[str, Any] | None = None,
    is_over: IsOver = lambda: False,
    embed: Embed = lambda _: None,
) -> list[Similar]:
    """The account's images that are most like this upload or file, the most similar first.

    Each is there once, however many files have its bytes; those of a file that is asked about are left out.
    Those that have an embedding as `embed` gives one come first, by that. Raises as `duplicates` does, and as
    an upload does.
    """
    digest = _digest(desk, account_id, image)
    found = features_of(desk, digest, is_over)
    same = digest if isinstance(image, str) else None
    vector = embed(digest)
    ranked = [] if vector is None else ranking.by_embedding(desk, account_id, vector, limit + 1, metadata)
    if len(ranked) <= limit:
        seen = {each.digest for each in ranked}
        others = ranking.by_measures(desk, account_id, found, limit + 1 + len(seen), metadata)
        ranked += [each for each in others if each.digest not in seen]
    ranked = [each for each in ranked if each.digest != same][:limit]
    with desk.database.transaction() as session:
        shown = catalogue.shown(session, account_id, [each.digest for each in ranked])
    return [
        Similar(*shown[each.digest], each.ranked_by, each.score, _reasons(digest, found, each))
        for each in ranked
        if each.digest in shown
    ]


def features_of(desk: Desk, digest: str, is_over: IsOver) -> Features:
    """The features of stored bytes; a worker is rung for those that were not measured, and waited for.

    Raises the ImageError that measuring them ended with; Unavailable where that takes too long.
    """
    end = time.monotonic() + desk.settings.request_timeout
    found = _known(desk, digest)
    if found is None:
        indexing.ring(desk, [digest], waiting=True)
    while found is None and (left := end - time.monotonic()) > 0 and not is_over():
        desk.events.wait(digest, min(left, LOOK_SECONDS))
        found = _known(desk, digest)
    if found is None:
        raise Unavailable("No worker measured the image in time: try again shortly.", retry_after=RETRY_AFTER)
    if isinstance(found, Unmeasurable):
        raise from_code(found.code, found.message, {})
    return found


def _known(desk: Desk, digest: str) -> Features | Unmeasurable | None:
    with desk.database.statement() as connection:
        return features.of(connection, digest)


def _reasons(digest: str, found: Features, ranked: Ranked) -> list[str]:
    if ranked.digest == digest:
        return ["same image"]
    return found.reasons(ranked.features) if ranked.features else []


def _digest(desk: Desk, account_id: str, image: Upload | str) -> str:
    if isinstance(image, str):
        return _image(desk, account_id, image).digest
    check_images(desk, [image])
    keep_bytes(desk, [image])  # for a while: no file names them
    return image.digest


def _image(desk: Desk, account_id: str, file_id: str) -> File:
    with desk.database.transaction() as session:
        file = files.get(session, account_id, file_id)
    if not file.media_type.startswith("image/"):
        raise InvalidRequest(f"The file {file_id!r} is no image.", details={"field": "file_id"})
    return file


def _place(session: Session, account_id: str, behind: str, distances: Mapping[str, int]) -> tuple[int, str]:
    """Where in the order a file stands. Raises InvalidRequest."""
    try:
        file = files.get(session, account_id, behind)
        return distances[file.digest], behind
    except (NotFound, KeyError) as error:
        raise InvalidRequest(
            "cursor: that file is no longer among them; begin again.", details={"field": "cursor"}
        ) from error

"""The images of an analysis: fetched where they are named by a URL, then measured or prepared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from core.desk import Desk
from core.errors import ImageError
from core.image_sizes import Sizing
from core.likeness import Features
from core.quality import judged
from core.recent import Recent
from core.services import fetching
from core.services.outcomes import Claim
from worker import chat, quality
from worker.download import NotFetched
from worker.ended import Ended, Stopping
from worker.fetcher import Fetcher
from worker.imaging import Policy, Prepared
from worker.preparer import Preparer

RECENT_BYTES, RECENT_SECONDS = 32 * 1024 * 1024, 120.0
"""Prepared images that are kept: the next turn of a conversation brings the same, and so does the next
question about a product. A few hundred of them, and no longer than most conversations pause."""

Note = Callable[[Claim, str, Features], None]
"""Takes what the bytes of a digest look like, with the analysis that looked at them."""


class Images:
    """Gets them for one worker process; `is_stopping` says whether it was told to stop.

    What each looks like is given to `note`.
    """

    def __init__(
        self,
        desk: Desk,
        fetcher: Fetcher,
        preparer: Preparer,
        is_stopping: Callable[[], bool],
        note: Note = lambda *_: None,
    ) -> None:
        self._desk = desk
        self._fetcher = fetcher
        self._preparer = preparer
        self._is_stopping = is_stopping
        self._note = note
        self._recent: Recent[tuple[str, Policy], Prepared] = Recent(RECENT_BYTES, RECENT_SECONDS)

    def prepare(self, claimed: Claim) -> list[Prepared]:
        """The images of an analysis. Raises Stopping where this worker was told to stop meanwhile."""
        alike = [claimed.detail] * len(claimed.digests)
        details = alike if claimed.body is None else chat.details(claimed.body)
        images = []
        for number, (digest, detail) in enumerate(zip(_known(claimed), details, strict=True), 1):
            with _naming(number, len(details)):
                images.append(self._noted(claimed, digest, detail))
        if self._is_stopping():
            raise Stopping
        return images

    def judge(self, claimed: Claim, rules: list[str]) -> dict[str, Any]:
        """The report on the images of an analysis under these rule sets."""
        policy, blobs = Policy.of(self._desk.settings, best_side=quality.SIDE), self._desk.blobs
        digests, measures = _known(claimed), []
        for number, digest in enumerate(digests, 1):
            with _naming(number, len(digests)):
                measures.append(self._preparer.measure(blobs.get(digest), policy))
        return judged(rules, measures, claimed.views)

    def prepare_one(self, claimed: Claim, digest: str) -> Prepared:
        """An image that is none of the analysis's own. Raises Stopping likewise."""
        if self._is_stopping():
            raise Stopping
        return self._prepared(claimed, digest, claimed.detail)

    def _noted(self, claimed: Claim, digest: str, detail: str) -> Prepared:
        image = self._prepared(claimed, digest, detail)
        self._note(claimed, digest, image.features)
        return image

    def _prepared(self, claimed: Claim, digest: str, detail: str) -> Prepared:
        sizing = Sizing(self._desk.prices.counting(claimed.model).rule, detail, claimed.max_image_tokens)
        policy = Policy.of(self._desk.settings, sizing=sizing)
        image = self._recent.get((digest, policy))
        if image is None:
            image = self._preparer.prepare(self._desk.blobs.get(digest), policy)
            self._recent.keep((digest, policy), image, len(image.content))
        return replace(image, detail=detail)

    def fetched(self, claimed: Claim) -> Claim:
        """The same with SHA-256 of all images, those named by a URL fetched.

        Raises Ended, Stopping, WrongState.
        """
        sources = fetching.sources(self._desk, claimed)
        digests = []
        for position, (digest, url) in enumerate(sources):
            with _naming(position + 1, len(sources)):
                digests.append(digest or self._fetch(claimed, position, url or ""))
        return replace(claimed, digests=digests)

    def _fetch(self, claimed: Claim, position: int, url: str) -> str:
        if self._is_stopping():
            raise Stopping
        try:
            return self._fetcher.fetch(claimed, position, url)
        except NotFetched as failure:
            raise Ended(failure.error, again=failure.again, counts=failure.counts) from failure


@contextmanager
def _naming(number: int, total: int) -> Iterator[None]:
    """Have an error tell which of several images it is about, counted from 1."""
    try:
        yield
    except (ImageError, Ended) as failure:
        error = failure.error if isinstance(failure, Ended) else failure
        if total > 1:
            error.message = f"Image {number} of {total}: {error.message}"
        raise


def _known(claimed: Claim) -> list[str]:
    return [digest for digest in claimed.digests if digest]

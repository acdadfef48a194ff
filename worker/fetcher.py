"""Brings images that are named by a URL into the blob store, before they are prepared."""

from __future__ import annotations

from core import metrics
from core.desk import Desk
from core.services import fetching
from core.services.fetching import Fetched
from core.services.outcomes import Claim
from worker.download import Downloads, NotFetched
from worker.outbound import Outbound
from worker.places import Places
from worker.scripts import Scripts

SHARE = 0.5
"""Of a worker's slots: what may wait for hosts of images at the same time."""
SLACK = 5.0
"""Seconds that a place outlives the longest fetch."""


class Fetcher:
    """Of one worker process; its threads share it."""

    def __init__(self, desk: Desk, outbound: Outbound) -> None:
        settings = desk.settings
        self._desk = desk
        self._scripts = Scripts(settings.redis_url)
        slots = max(1, int(settings.worker_concurrency * SHARE))
        seconds = settings.url_timeout + SLACK
        places = Places(self._scripts, settings.url_host_connections, slots, seconds)
        self._downloads = Downloads(settings, outbound, places)

    def fetch(self, claimed: Claim, position: int, url: str) -> str:
        """Fetch an image of an analysis and keep it; its SHA-256.

        Raises NotFetched, Unavailable; WrongState where the image is no longer wanted.
        """
        try:
            fetched = self._changed(claimed, url)
            if fetched is None:
                metrics.FETCHES.labels("unchanged").inc()
                if digest := fetching.reuse(self._desk, claimed, position, url):
                    return digest
                fetched = self._downloads.get(url)
        except NotFetched as failure:
            metrics.FETCHES.labels("failed" if failure.counts else "waiting").inc()
            raise
        metrics.FETCHES.labels("fetched").inc()
        with fetched.upload.content:
            return fetching.keep(self._desk, claimed, position, url, fetched)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._scripts.close()

    def _changed(self, claimed: Claim, url: str) -> Fetched | None:
        """The image, or None where its host says that it is the one from before."""
        known = fetching.earlier(self._desk, claimed, url)
        return self._downloads.get(url) if known is None else self._downloads.get_if_changed(url, known)

"""What a process of Vitrine works with: made once per process by its entry point, handed to services."""

from __future__ import annotations

from dataclasses import dataclass

from config import Settings
from core.blobs import Blobs
from core.db import Database
from core.events import Events
from core.presets import Presets
from core.pricing import PriceTable
from core.queue import Doorbell
from core.quiet import Quiet
from core.recent import Recent

KEPT_MOST = 4_096
KEPT_SECONDS = 60.0
"""As turns of a conversation follow each other; bytes that no file names are left alone for far longer."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Settings and the open ends to Postgres, Redis and the blob store."""

    settings: Settings
    database: Database
    blobs: Blobs
    doorbell: Doorbell
    events: Events
    presets: Presets
    prices: PriceTable
    redis_quiet: Quiet
    """Shared by all that talks to Redis: where one has waited in vain, the others need not."""
    kept_bytes: Recent[str, bool]
    """Digests whose bytes this process has kept, so lately that nobody may have removed them."""

    @classmethod
    def open(cls, settings: Settings, *, name: str) -> Desk:
        """A desk for one process; nothing is opened before its first use."""
        quiet = Quiet()
        return cls(
            settings=settings,
            database=Database(settings.database_url, pool_size=settings.database_connections, name=name),
            blobs=Blobs(settings.storage_url),
            doorbell=Doorbell(settings.redis_url, quiet),
            events=Events(settings.redis_url, quiet),
            presets=Presets(),
            prices=PriceTable.load(settings.price_table),
            redis_quiet=quiet,
            kept_bytes=Recent(KEPT_MOST, KEPT_SECONDS),
        )

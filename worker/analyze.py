"""The way of one analysis: claim, prepare, reserve, ask, check, record.

Nothing here raises to Celery: every way out is an outcome in the database, and where even that cannot be
written the lease runs out and the sweep takes over.
"""

from __future__ import annotations

import threading
import time

import structlog

from core.desk import Desk
from core.errors import BudgetExceeded, InternalError, Unavailable, VitrineError, WrongState
from core.services import outcomes
from core.services.outcomes import Claim
from core.services.reuse import Answered, Following, Given
from worker.answering import Answering
from worker.asking import Asker
from worker.ended import Ended, Stopping
from worker.fetcher import Fetcher
from worker.images import Images, Note
from worker.isolation import Isolation
from worker.leases import Leases
from worker.preparer import Preparer
from worker.recording import give_back, give_back_unpaid, give_earlier, record, release
from worker.throttle import Throttle
from worker.vision import Vision

log = structlog.get_logger(__name__)


class Analyzer:
    """What a worker process analyses with."""

    def __init__(
        self,
        desk: Desk,
        fetcher: Fetcher,
        preparer: Preparer,
        vision: Vision,
        throttle: Throttle,
        leases: Leases,
        name: str,
        note: Note = lambda *_: None,
    ) -> None:
        self._desk = desk
        self._leases = leases
        self._name = name
        self._isolation = Isolation()
        self._stopping = threading.Event()
        images = Images(desk, fetcher, preparer, self._stopping.is_set, note)
        self._answering = Answering(desk, images, Asker(desk, vision, throttle))

    def stop_claiming(self) -> None:
        """Take nothing more, and ask nothing more; what is asked is finished."""
        self._stopping.set()

    def analyze(self, analysis_id: str) -> None:
        """Do what the bell rang for, if it is still to be done."""
        with structlog.contextvars.bound_contextvars(analysis_id=analysis_id):
            try:
                with self._isolation.together():
                    if self._work(analysis_id) or not outcomes.waits_for_last_try(self._desk, analysis_id):
                        return
                with self._isolation.alone():
                    self._work(analysis_id, last_try=True)
            except Unavailable:
                log.warning("claim_failed")  # the sweep rings again

    def _work(self, analysis_id: str, *, last_try: bool = False) -> bool:
        """Claim and run it; whether that was possible. Raises Unavailable where it cannot be claimed."""
        if self._stopping.is_set():
            outcomes.pass_on(self._desk, analysis_id)
            return True
        claimed = outcomes.claim(self._desk, analysis_id, self._name, last_try=last_try)
        if claimed is None:
            return False
        with (
            structlog.contextvars.bound_contextvars(request_id=claimed.request_id),
            self._leases.holding(claimed),
        ):
            self._run(claimed)
        return True

    def _run(self, claimed: Claim) -> None:
        start = time.monotonic()
        try:
            answer, closing = self._answering.answer(claimed)
            record(lambda: outcomes.succeed(self._desk, claimed, answer, closing))
            log.info("analysis_completed", model=claimed.model, seconds=round(time.monotonic() - start, 3))
        except WrongState:
            log.info("lease_lost")
        except Answered:
            give_earlier(self._desk, claimed)
        except (Given, Following) as settled:
            log.info(settled.event)
        except BudgetExceeded as error:
            give_back_unpaid(self._desk, claimed, error)
        except Stopping:
            release(self._desk, claimed)
        except Ended as end:
            give_back(self._desk, claimed, end)
        except Unavailable as error:
            give_back(self._desk, claimed, Ended(error, again=True))
        except VitrineError as error:
            give_back(self._desk, claimed, Ended(error))
        except Exception:
            log.exception("analysis_broke")
            give_back(self._desk, claimed, Ended(InternalError()))

"""The way of one delivery: claim, sign, send, record.

Nothing here raises to Celery: every way out is an outcome in the database, and where even that cannot be
written the lease runs out, and it is sent again under the same id.
"""

from __future__ import annotations

import json
import threading
import time

import structlog

from core import signing
from core.desk import Desk
from core.errors import Unavailable
from core.services import deliveries, webhooks
from core.services.deliveries import Attempted, Claim
from worker.outbound import Outbound
from worker.outbound_errors import OutboundError

REPLY_BYTES = 65_536
RECORD_SECONDS, RECORD_PAUSE = 10.0, 0.5

log = structlog.get_logger(__name__)


class Courier:
    """What a worker process delivers with."""

    def __init__(self, desk: Desk, outbound: Outbound) -> None:
        self._desk = desk
        self._outbound = outbound
        self._stopping = threading.Event()

    def stop_claiming(self) -> None:
        """Take nothing more; what is being sent is finished."""
        self._stopping.set()

    def deliver(self, delivery_id: str) -> None:
        """Send what the bell rang for, if it is still to be sent."""
        if self._stopping.is_set():
            return  # its bell is missed in seconds
        with structlog.contextvars.bound_contextvars(delivery_id=delivery_id):
            try:
                claimed = deliveries.claim(self._desk, delivery_id)
            except Unavailable:
                log.warning("claim_failed")
                return
            if claimed is not None:
                self._record(claimed, self._attempt(claimed))

    def _attempt(self, claimed: Claim) -> Attempted:
        message = webhooks.body_of(claimed.id, claimed.type, claimed.created_at, claimed.payload)
        body = json.dumps(message, separators=(",", ":")).encode()  # ASCII: no two readers differ over it
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Vitrine-Webhooks",
            **signing.headers(claimed.id, body, claimed.secrets),
        }
        start = time.monotonic()
        status, error, reply = None, None, None
        try:
            answer = self._outbound.post(
                claimed.url, body, headers, seconds=self._desk.settings.webhook_timeout, most=REPLY_BYTES
            )
            status, reply = answer.status, _text(answer.body)
        except OutboundError as problem:
            error = problem.message
        except Exception:
            log.exception("delivery_broke")
            error = "It could not be sent."
        seconds = round(time.monotonic() - start, 4)
        log.info(
            "delivery_attempted", webhook_id=claimed.webhook_id, status=status, why=error, seconds=seconds
        )
        return Attempted(status=status, error=error, reply=reply, seconds=seconds)

    def _record(self, claimed: Claim, attempted: Attempted) -> None:
        """Write an outcome; while Postgres is away keep trying for a little less than the lease."""
        end = time.monotonic() + RECORD_SECONDS
        while True:
            try:
                return deliveries.record(self._desk, claimed, attempted)
            except Unavailable:
                if time.monotonic() > end:
                    log.exception("outcome_lost")  # it is sent again
                    return None
                time.sleep(RECORD_PAUSE)
            except Exception:
                log.exception("outcome_broke")
                return None


def _text(reply: bytes) -> str:
    """What a receiver said, as Postgres can hold it."""
    return reply.decode(errors="replace").replace("\0", "")

"""What workers do with deliveries: ring for those that are due, take one, and record what came of it.

Times, fences and leases are as for analyses. The transactions lock a webhook before its deliveries.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from datetime import timedelta
from http import HTTPStatus

import structlog
from sqlalchemy import func
from sqlalchemy.orm import Session

from core import metrics
from core.db import after_commit
from core.desk import Desk
from core.models import Webhook
from core.queue import WEBHOOKS, Task
from core.states import DeliveryState
from core.store import deliveries, lanes, outbox, webhooks

Claim = deliveries.Claim

MOST_BELLS = 200
"""In Redis at any time."""
OF_ACCOUNT = 16
"""Deliveries of one account on their way at once, however many receivers it has."""
LEASE_BEYOND = 15.0
"""Seconds of a lease beyond the longest that an attempt may take."""
GIVE_UP_AFTER = timedelta(hours=120)
"""Of failures only, after which a webhook is disabled."""
LATER_BY = 0.2
"""At most, as a part of the wait: what failed together is not tried again together."""
AT_ONCE = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What came of an attempt."""

    status: int | None
    error: str | None
    """Why there is no status, or why what was answered will not do."""
    reply: str | None
    seconds: float

    @property
    def has_arrived(self) -> bool:
        """Whether the receiver has taken it."""
        return self.error is None and self.status is not None and self.status // 100 == 2

    @property
    def words(self) -> str:
        """Why it has not."""
        return self.error or f"It answered {self.status}."


any_due, any_followed = lanes.any_due, outbox.any_followed
"""Looks for a leader, which tell whether there is anything for `dispatch`, and for `tell_progress`."""


def dispatch(desk: Desk) -> int:
    """Ring for deliveries that are due, in turns between receivers; for how many."""
    waiting = desk.doorbell.waiting(WEBHOOKS)
    if waiting is None or waiting >= MOST_BELLS:
        return 0
    cap = desk.settings.webhook_concurrency
    with desk.database.driver() as driver:
        ids = lanes.pick(driver, MOST_BELLS - waiting, in_lane=cap, of_account=max(cap, OF_ACCOUNT))
    desk.doorbell.ring(Task.DELIVER, ids, WEBHOOKS)
    return len(ids)


def claim(desk: Desk, delivery_id: str) -> Claim | None:
    """Take the lease of a delivery; None where there is nothing to do for this bell."""
    lease = timedelta(seconds=desk.settings.webhook_timeout + LEASE_BEYOND)
    with desk.database.transaction() as session:
        return deliveries.take(session, delivery_id, lease)


def record(desk: Desk, claimed: Claim, attempted: Attempted) -> None:
    """Move a delivery on after an attempt, and keep the attempt."""
    with desk.database.transaction() as session:
        if attempted.has_arrived:
            webhooks.note_success(session, claimed.webhook_id)
            to, again_in = DeliveryState.DELIVERED, timedelta()
        else:
            webhooks.note_failure(session, claimed.webhook_id)
            to, again_in = _after_failure(desk, claimed)
        reason = None if attempted.has_arrived else attempted.words
        outcome = asdict(attempted)
        if not deliveries.end(session, claimed, to, reason=reason, again_in=again_in, outcome=outcome):
            log.info("delivery_lost_to_another", delivery_id=claimed.id)
            return
        if not attempted.has_arrived:
            _disable_where_hopeless(session, claimed, attempted)
        became = "retried" if to == DeliveryState.PENDING else str(to)
        after_commit(session, metrics.DELIVERIES.labels(became).inc)
        after_commit(session, lambda: metrics.DELIVERY_DURATION.observe(attempted.seconds))


def tell_progress(desk: Desk) -> int:
    """Tell of batches that have come a quarter further; of how many."""
    with desk.database.transaction() as session:
        return outbox.tell_progress(session)


def forget(desk: Desk) -> int:
    """Remove some of what is kept no longer; how much. Answers are kept no longer here than elsewhere."""
    settings = desk.settings
    age = min(settings.webhook_retention, settings.result_retention or settings.webhook_retention)
    with desk.database.transaction() as session:
        return deliveries.forget(session, age, AT_ONCE) + webhooks.forget(session, age, AT_ONCE)


def _after_failure(desk: Desk, claimed: Claim) -> tuple[DeliveryState, timedelta]:
    """Another try by the schedule, or none."""
    schedule = desk.settings.webhook_schedule
    if claimed.tries >= len(schedule):
        return DeliveryState.FAILED, timedelta()
    seconds = schedule[claimed.tries] * random.uniform(1, 1 + LATER_BY)  # noqa: S311  (no secret hangs on it)
    return DeliveryState.PENDING, timedelta(seconds=seconds)


def _disable_where_hopeless(session: Session, claimed: Claim, attempted: Attempted) -> None:
    """Disable a webhook that wants no more, or has failed for days, and tell the account's others."""
    this = Webhook.id == claimed.webhook_id
    if attempted.status == HTTPStatus.GONE:
        disabled = webhooks.disable(session, "It answered 410 Gone.", this)
    else:
        too_long = Webhook.failing_since < func.now() - GIVE_UP_AFTER
        hours = int(GIVE_UP_AFTER.total_seconds() / 3600)
        disabled = webhooks.disable(session, f"Nothing but failures for {hours} hours.", this, too_long)
    for webhook in disabled:
        log.warning("webhook_disabled", webhook_id=webhook.id, why=webhook.disabled_reason)
        told = {"id": webhook.id, "object": "webhook", "url": webhook.url, "reason": webhook.disabled_reason}
        outbox.tell(session, webhook.account_id, "webhook.disabled", webhook.id, told)

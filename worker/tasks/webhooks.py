"""Celery tasks of webhooks."""

from __future__ import annotations

from core.queue import Task, celery_app
from worker.workbench import postroom


@celery_app.task(name=Task.DELIVER)
def deliver(delivery_id: str) -> None:
    """Deliver what the bell rang for."""
    postroom().courier.deliver(delivery_id)

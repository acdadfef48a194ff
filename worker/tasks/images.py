"""Celery tasks of stored images."""

from __future__ import annotations

from core.queue import Task, celery_app
from worker.workbench import bench


@celery_app.task(name=Task.MEASURE)
def measure(digest: str) -> None:
    """Measure what the bell rang for."""
    bench().indexer.measure(digest)

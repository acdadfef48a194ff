"""Celery tasks of analyses; each does one thing with one row."""

from __future__ import annotations

from core.queue import Task, celery_app
from worker.workbench import bench


@celery_app.task(name=Task.ANALYZE)
def analyze(analysis_id: str) -> None:
    """Analyse what the bell rang for."""
    bench().analyzer.analyze(analysis_id)

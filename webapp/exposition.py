"""What Prometheus reads: what all web processes counted, and the load as it is now."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from core import metrics
from core.desk import Desk
from core.errors import Unavailable
from core.services.load import Lookout, Work

TRIES = 3
TORN = (RuntimeError, ValueError, struct.error, OSError)
"""What reading a file raises that another process is just making or growing."""

log = structlog.get_logger(__name__)


class Exposition:
    """Knows how to tell everything; one for a process."""

    def __init__(self, desk: Desk) -> None:
        self._lookout = Lookout(desk)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The exposition in the format asked for, and its media type. Raises Unavailable."""
        encode, media_type = choose_encoder(accept)
        load = self._lookout.look()
        for _ in range(TRIES):
            try:
                return encode(
                    _Given([*metrics.registry().collect(), *_gauges(load.work, load.messages)])
                ), media_type
            except TORN as error:
                log.warning("metrics_torn", error=type(error).__name__)
        raise Unavailable("The counts cannot be read just now.", retry_after=1)


class _Given(Collector):
    """Collects what it was given."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


def _gauges(work: Work | None, messages: Mapping[str, int] | None) -> Iterable[Metric]:
    """What did not answer is left out, and said to be down."""
    up = {"database": work is not None, "redis": messages is not None}
    yield _gauge("vitrine_dependency_up", "Whether it answered.", "dependency", up)
    if work is not None:
        depths = {name: queue.depth for name, queue in work.waiting.items()}
        ages = {name: queue.oldest for name, queue in work.waiting.items()}
        yield _gauge("vitrine_queue_depth", "Analyses that wait.", "queue", depths)
        yield _gauge("vitrine_queue_oldest_seconds", "How long the longest has been due.", "queue", ages)
        yield _gauge("vitrine_analyses_running", "Analyses that a worker holds.", None, {"": work.running})
        yield _gauge("vitrine_workers", "Workers that reported lately.", None, {"": work.workers})
        backlog = work.deliveries
        yield _gauge("vitrine_webhook_backlog", "Deliveries that wait.", None, {"": backlog.depth})
        yield _gauge(
            "vitrine_webhook_oldest_seconds", "How long the longest has been due.", None, {"": backlog.oldest}
        )
        yield _gauge("vitrine_worker_slots", "Analyses that they can run at once.", None, {"": work.slots})
    if messages is not None:
        yield _gauge("vitrine_queue_messages", "Messages that wait in Redis.", "queue", messages)


def _gauge(name: str, help_text: str, label: str | None, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label] if label else [])
    for value_of, value in values.items():
        family.add_metric([value_of] if label else [], value)
    return family
